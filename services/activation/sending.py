"""One attempt at one request: to whose list it goes, the attempt, and every kind of its end.

Called by the lane, which decides what follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.activation.exchanges import Exchange, Ready, Trouble, exchange, forget_credentials, reached
from services.activation.lane_events import DELIVERY_REQUEST_SECONDS
from services.activation.lane_ports import LanePorts
from services.activation.list_making import listed
from services.connectors.base import EffectConnector, PolledConnector, Request, Target, WebConnector
from services.domain.delivery.answers import DELIVERED, REFUSED_MEMBER, UNANSWERED, Fate, Verdict, gravest
from services.domain.delivery.ledger import Taken
from services.domain.delivery.merge import Item, parted
from services.runtime.web import WebAnswer

EFFECT_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending one request: a verdict for each item, and whether those delivered were only taken."""

    verdicts: list[tuple[Item, Verdict]]
    retry_after_seconds: float | None = None
    taken: Taken | None = None


async def send_once(request: Request, to: Ready, ports: LanePorts) -> Attempt:
    """Sends the request once; every end but cancellation is a verdict."""
    began = ports.clock.monotonic_seconds()
    attempt = await _attempt(request, to, ports)
    DELIVERY_REQUEST_SECONDS.observe(
        ports.clock.monotonic_seconds() - began,
        connector=to.connector.declaration.slug,
        fate=gravest(verdict for _, verdict in attempt.verdicts).fate,
    )
    return attempt


async def _attempt(request: Request, to: Ready, ports: LanePorts) -> Attempt:
    connection = await listed(request.items[0].delivery, to, ports)
    if isinstance(connection, Trouble):
        return _all(request, connection.verdict, connection.retry_after_seconds)
    connector = to.connector
    if isinstance(connector, EffectConnector):
        effecting = connector

        async def act(target: Target) -> None:
            await ports.outlets.carry_out(effecting.effect(request, target), timeout_seconds=EFFECT_SECONDS_MAX)

        done = await reached(to, connection, ports, act)
        return _all(request, DELIVERED) if done is None else _all(request, done.verdict, done.retry_after_seconds)
    assert isinstance(connector, WebConnector)
    made = await exchange(to, connection, ports, lambda target: connector.attempt(request, target))
    if isinstance(made, Trouble):
        return _all(request, made.verdict, made.retry_after_seconds)
    return _judged(request, to, made, ports)


def _judged(request: Request, to: Ready, made: Exchange, ports: LanePorts) -> Attempt:
    connector, answer = to.connector, made.answer
    assert isinstance(connector, WebConnector)
    said = connector.outcomes(request, answer)
    refused = connector.refused_members(request, answer)
    verdicts = [
        one for item in request.items for one in _each(item, said.get(item.id, UNANSWERED), refused.get(item.id, ()))
    ]
    if any(verdict.fate is Fate.UNAUTHORIZED for _, verdict in verdicts):
        forget_credentials(to, made.target, ports)
    return Attempt(verdicts, made.retry_after_seconds(ports.clock.now_ms()), _taken(connector, answer))


def _taken(connector: WebConnector, answer: WebAnswer) -> Taken | None:
    polling = connector.declaration.polling
    receipt = connector.receipt(answer) if isinstance(connector, PolledConnector) else None
    return None if receipt is None or polling is None else Taken(receipt, polling.every_seconds)


def _each(item: Item, verdict: Verdict, refused: Sequence[str]) -> list[tuple[Item, Verdict]]:
    """The verdict on an item, or on its two parts where some of its members are refused."""
    if not refused:
        return [(item, verdict)]
    ours, others = parted(item, refused)
    return [(one, word) for one, word in ((ours, REFUSED_MEMBER), (others, verdict)) if one.members]


def _all(request: Request, verdict: Verdict, retry_after_seconds: float | None = None) -> Attempt:
    return Attempt([(item, verdict) for item in request.items], retry_after_seconds)
