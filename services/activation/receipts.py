"""Asks destinations that say later what became of what they took, and tells control: the receipts as a Deliver service.

A receipt that is too early waits; one that is not answered yet is written again behind the others. So none is lost in a
restart, none holds up the others for longer than its destination's own interval, and lanes wait for none of them.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from contracts import codec, codes
from contracts.instants import instant_text, parse_instant
from contracts.messages.delivery import Receipt, Reported
from contracts.messages.entities import Destination
from contracts.records import Out, Record, TopicPartition
from services.activation.exchanges import Exchange, Ready, Trouble, exchange, forget_credentials, keep_to_rate, ready
from services.activation.lane_events import DELIVERY_REPORTED
from services.activation.lane_ports import LanePorts
from services.activation.lane_reports import letter, outcome, receipt_record
from services.connectors.base import PolledConnector, Report
from services.connectors.declaration import Polling
from services.domain.delivery.answers import Fate, judge

GROUP: Final = "activation-receipts"
RECORDS_MAX: Final = 1  # what is done is committed at once: a question takes longer than a commit
_NEVER_ASKED: Final = Polling(every_seconds=0, hours_max=0)
_LATER: Final = frozenset({Fate.UNAVAILABLE, Fate.UNAUTHORIZED, Fate.BLOCKED})
_NOTHING_SAID: Final = Report(failed=0)


class Receipts:
    """Implements `Deliver`."""

    def __init__(self, ports: LanePorts) -> None:
        self._ports = ports

    async def assigned(self, partition: TopicPartition) -> None:
        """Nothing is kept of a partition."""

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:  # noqa: ARG002 - they say it
        """Returns when each is reported on, or written again to be asked about later."""
        for record in records:
            try:
                said = codec.decode(record.value or b"", Receipt)
            except codec.Unreadable as error:
                await self._ports.reports.write([letter(record, codes.DELIVERY_UNREADABLE, error.detail, 1)])
            else:
                await self._ports.reports.write([await self._followed(record, said)])

    async def revoked(self, partition: TopicPartition) -> None:
        """Nothing is kept of a partition."""

    async def _followed(self, record: Record, said: Receipt) -> Out:
        """The record that follows from asking: the report, or the receipt anew."""
        clock = self._ports.clock
        await clock.sleep(max(0.0, (_ms(said.ask_at) - clock.now_ms()) / 1000))
        to = ready(self._ports.catalogue.get(Destination, said.space_id, said.destination_id))
        polling = (to.connector.declaration.polling if isinstance(to, Ready) else None) or _NEVER_ASKED
        report = await self._asked(said, to) if isinstance(to, Ready) else None
        now_ms = clock.now_ms()
        if report is None and now_ms < _ms(said.taken_at) + polling.hours_max * 3_600_000:
            ask_at = instant_text(now_ms + polling.every_seconds * 1000)
            return receipt_record(msgspec.structs.replace(said, ask_at=ask_at), record.partition)
        reported = _reported(record, said, report or _NOTHING_SAID, now_ms)
        DELIVERY_REPORTED.add(reported.failed, outcome="failed")
        DELIVERY_REPORTED.add(said.members - reported.failed, outcome="done")
        return outcome(reported, self._ports.outcome_partitions)

    async def _asked(self, said: Receipt, to: Ready) -> Report | None:
        """What the destination says; None where it is to be asked again, `_NOTHING_SAID` where it never will."""
        connector = to.connector
        if not isinstance(connector, PolledConnector):
            return _NOTHING_SAID
        await keep_to_rate(to, self._ports)
        made = await exchange(to, {}, self._ports, lambda target: connector.inquiry(said.receipt, target))
        if isinstance(made, Trouble):
            return None if made.verdict.fate in _LATER else _NOTHING_SAID
        return self._understood(connector, to, made)

    def _understood(self, connector: PolledConnector, to: Ready, made: Exchange) -> Report | None:
        fate = judge(made.answer.status).fate
        if fate is Fate.UNAUTHORIZED:
            forget_credentials(to, made.target, self._ports)
        if fate is Fate.DELIVERED:
            return connector.report(made.answer)
        return None if fate in _LATER else _NOTHING_SAID


def _reported(record: Record, said: Receipt, report: Report, now_ms: int) -> Reported:
    failed = said.members if report.failed is None else min(report.failed, said.members)
    return Reported(
        space_id=said.space_id,
        activation_id=said.activation_id,
        partition=record.partition,
        through_offset=record.offset + 1,
        members=said.members,
        failed=failed,
        matched=report.matched,
        at=instant_text(now_ms),
        code=codes.DELIVERY_FAILED_LATER.code if failed else None,
        detail=report.detail if failed else None,
    )


def _ms(text: str) -> int:
    return parse_instant(text) or 0
