"""Answers control's questions whether a destination can be reached and lets us in, as it stands at that moment.

In a group of its own, so that no question waits behind a delivery: those of a batch are answered side by side. Nothing
is taken on trust: secrets are read, tokens fetched and connections made anew. At least once; control counts one answer.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec

from contracts import catalog, codec, codes
from contracts.instants import instant_text
from contracts.messages.delivery import Verification, Verified
from contracts.messages.entities import Destination
from contracts.records import Out, Record, TopicPartition
from services.activation.exchanges import Trouble, reached, ready
from services.activation.lane_events import DestinationVerified
from services.activation.lane_ports import LanePorts
from services.activation.lane_reports import letter, outcome
from services.activation.tokens import Tokens
from services.connectors.base import EffectConnector, Target, WebConnector
from services.domain.delivery.answers import DELIVERED, Verdict
from services.runtime.web import WebRequest

GROUP: Final = "activation-verifier"
TOPICS: Final = (catalog.VERIFICATIONS,)
RECORDS_MAX: Final = 100
HANDLE_SECONDS_MAX: Final = 300.0
EXCHANGE_SECONDS_MAX: Final = 15.0  # of which there are two where a token is fetched: half of what control waits


class Verifier:
    """Implements `Deliver` over `delivery.verifications.v1`."""

    def __init__(self, ports: LanePorts) -> None:
        self._ports = ports

    async def assigned(self, partition: TopicPartition) -> None:
        """Nothing is kept from one question to the next."""

    async def revoked(self, partition: TopicPartition) -> None:
        """So nothing is lost."""

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:  # noqa: ARG002 - all alike
        """Returns when every question has its answer, but for those that nobody waits for any more."""
        outs: list[Out] = []
        asked: list[Verification] = []
        for record in records:
            try:
                asked.append(codec.decode(record.value or b"", Verification))
            except codec.Unreadable as error:
                outs.append(letter(record, codes.DELIVERY_UNREADABLE, error.detail, 1))
        now_ms = self._ports.clock.now_ms()
        asked = [one for one in asked if one.until_ms > now_ms]
        if asked:
            await self._ports.catalogue.caught_up()  # a destination may be a moment older than the question
        said = await asyncio.gather(*map(self._answer, asked))
        outs += [outcome(one, self._ports.outcome_partitions) for one in said]
        await self._ports.reports.write(outs)

    async def _answer(self, asked: Verification) -> Verified:
        clock = self._ports.clock
        began_seconds = clock.monotonic_seconds()
        destination = self._ports.catalogue.get(Destination, asked.space_id, asked.destination_id)
        verdict = await verified(destination, self._ports)
        said = Verified(
            space_id=asked.space_id,
            verification_id=asked.verification_id,
            destination_id=asked.destination_id,
            code=None if verdict.code is None else verdict.code.code,
            detail=verdict.detail or None,
            latency_ms=round((clock.monotonic_seconds() - began_seconds) * 1000),
            at=instant_text(clock.now_ms()),
        )
        DestinationVerified(said.space_id, said.destination_id, said.code or "", verdict.detail, said.latency_ms).emit()
        return said


async def verified(destination: Destination | None, ports: LanePorts) -> Verdict:
    """`DELIVERED` where we are let in, also to a destination that is disabled; every other end is a verdict too."""
    to = ready(None if destination is None else msgspec.structs.replace(destination, enabled=True))
    if isinstance(to, Verdict):
        return to
    connector = to.connector

    async def act(target: Target) -> Verdict:
        if isinstance(connector, EffectConnector):
            await ports.outlets.check(connector.check(target), timeout_seconds=EXCHANGE_SECONDS_MAX)
            return DELIVERED
        assert isinstance(connector, WebConnector)
        return await _asked(connector, target, ports)

    made = await reached(to, {}, ports, act, anew=True)
    return made.verdict if isinstance(made, Trouble) else made


async def _asked(connector: WebConnector, target: Target, ports: LanePorts) -> Verdict:
    grant = connector.grant(target)
    if grant is not None:
        token = await Tokens(ports.web, clock=ports.clock).token(_hurried(grant))  # lanes may hold one that still lives
        target = replace(target, token=token)
    return connector.verified(await ports.web.send(_hurried(connector.verification(target))))


def _hurried(request: WebRequest) -> WebRequest:
    return replace(request, timeout_seconds=min(request.timeout_seconds, EXCHANGE_SECONDS_MAX))
