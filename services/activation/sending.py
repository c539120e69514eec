"""One attempt at one request: whether the destination can be sent to at all, the attempt, and every kind of its end.

Called by the lane, which decides what follows.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from contracts import codes
from contracts.messages.entities import Connection, Destination
from services.activation.lane_events import DELIVERY_REQUEST_SECONDS
from services.activation.lane_ports import LanePorts
from services.connectors.base import (
    Connector,
    EffectConnector,
    PolledConnector,
    Request,
    Settings,
    Target,
    WebConnector,
)
from services.connectors.declaration import Limits, Mistake, connection_mistakes, filled, limited, mistakes
from services.connectors.registry import CONNECTORS
from services.domain.delivery.answers import (
    DELIVERED,
    REFUSED_MEMBER,
    UNANSWERED,
    Fate,
    Verdict,
    gravest,
    retry_after_seconds,
)
from services.domain.delivery.ledger import Taken
from services.domain.delivery.merge import Item, parted
from services.runtime.failures import Rejected, Unavailable
from services.runtime.secret import SecretUnavailable
from services.runtime.secret_references import ReferenceRefused
from services.runtime.web import WebAnswer, WebRequest

T = TypeVar("T")

EFFECT_SECONDS_MAX: Final = 30.0
_FATES: Final = {codes.DELIVERY_AUTHENTICATION: Fate.UNAUTHORIZED, codes.DELIVERY_SETTINGS_INVALID: Fate.BLOCKED}
"""What is rejected for such a reason waits for somebody to act; for any other the items are refused."""
_SECRETS_OUTDATED: Final = frozenset({codes.DELIVERY_AUTHENTICATION, codes.DELIVERY_SECRET_UNAVAILABLE})
_FAILURES: Final = (ReferenceRefused, SecretUnavailable, Rejected, Unavailable)

UNKNOWN = Verdict(Fate.REFUSED, codes.DELIVERY_DESTINATION_UNKNOWN, codes.DELIVERY_DESTINATION_UNKNOWN.title)
_DISABLED = Verdict(Fate.GONE, codes.DELIVERY_DESTINATION_DISABLED, codes.DELIVERY_DESTINATION_DISABLED.title)


@dataclass(frozen=True, slots=True)
class Ready:
    """A destination that can be sent to, its settings complete."""

    destination: Destination
    connector: Connector
    settings: Settings
    limits: Limits


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending one request: a verdict for each item, and whether those delivered were only taken."""

    verdicts: list[tuple[Item, Verdict]]
    retry_after_seconds: float | None = None
    taken: Taken | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that was answered: with which credentials it was sent, and how."""

    target: Target
    answer: WebAnswer

    def retry_after_seconds(self, now_ms: int) -> float | None:
        """The wait that the answer asks for."""
        return retry_after_seconds(self.answer.headers.get("retry-after"), now_ms)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no answer."""

    verdict: Verdict
    retry_after_seconds: float | None = None


def ready(destination: Destination | None) -> Ready | Verdict:
    """The destination as it stands now, or why nothing can be sent to it."""
    if destination is None:
        return UNKNOWN
    if not destination.enabled:
        return _DISABLED
    connector = CONNECTORS.get(destination.connector)
    if connector is None:
        detail = f"this version has no connector {destination.connector[:64]!r}"
        return Verdict(Fate.BLOCKED, codes.CONNECTOR_UNKNOWN, detail)
    declaration = connector.declaration
    wrong = mistakes(declaration, settings=destination.settings, secrets=destination.secrets, limits=destination.limits)
    hindrance = _hindrance(wrong)
    if hindrance is not None:
        return hindrance
    return Ready(
        destination=destination,
        connector=connector,
        settings=filled(declaration.settings, destination.settings),
        limits=limited(declaration, destination.limits),
    )


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


async def exchange(
    to: Ready, connection: Settings, ports: LanePorts, make: Callable[[Target], WebRequest]
) -> Exchange | Trouble:
    """One request to the destination with its secrets and token, and the answer; or why there is none."""
    assert isinstance(to.connector, WebConnector)
    connector = to.connector

    async def act(target: Target) -> Exchange:
        grant = connector.grant(target)
        token = None if grant is None else await ports.tokens.token(grant)
        target = replace(target, token=token)
        return Exchange(target, await ports.web.send(make(target)))

    return await reached(to, connection, ports, act)


async def keep_to_rate(to: Ready, ports: LanePorts) -> None:
    """Waits until the destination, or whoever shares its credential, may be asked again."""
    wait_seconds = ports.rates.reserve(to.destination, to.limits.requests_per_second, ports.clock.monotonic_seconds())
    if wait_seconds > 0:
        await ports.clock.sleep(wait_seconds)


def forget_credentials(to: Ready, target: Target, ports: LanePorts) -> None:
    """The destination refuses them: the next attempt has others, if there are any."""
    ports.secrets.forget(to.destination.space_id, to.destination.secrets)
    if target.token is not None:
        ports.tokens.forget(target.token)


async def _attempt(request: Request, to: Ready, ports: LanePorts) -> Attempt:
    connection = _connection_settings(request, to, ports)
    if isinstance(connection, Verdict):
        return _all(request, connection)
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


async def reached(
    to: Ready, connection: Settings, ports: LanePorts, act: Callable[[Target], Awaitable[T]], *, anew: bool = False
) -> T | Trouble:
    """What `act` comes to with the destination's secrets, read `anew` or not; every end but cancellation is one."""
    space_id, references = to.destination.space_id, to.destination.secrets
    try:
        if anew:
            ports.secrets.forget(space_id, references)
        secrets = await ports.secrets.resolve(space_id, references)
        return await act(Target(to.settings, secrets, ports.clock.now_ms(), connection))
    except _FAILURES as error:
        verdict = _verdict_on(error)
        if verdict.code in _SECRETS_OUTDATED:
            ports.secrets.forget(space_id, references)
        return Trouble(verdict, error.retry_after_seconds if isinstance(error, Unavailable) else None)


def _verdict_on(failure: Exception) -> Verdict:
    """What one of the `_FAILURES` to reach a destination means."""
    match failure:
        case ReferenceRefused():
            return Verdict(Fate.BLOCKED, codes.SECRET_REFUSED, str(failure))
        case SecretUnavailable():
            return Verdict(Fate.BLOCKED, codes.DELIVERY_SECRET_UNAVAILABLE, str(failure))
        case Rejected():
            return Verdict(_FATES.get(failure.code, Fate.REFUSED), failure.code, failure.detail)
        case _:
            return Verdict(Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, str(failure))


def _connection_settings(request: Request, to: Ready, ports: LanePorts) -> Settings | Verdict:
    """The settings of the request's one connection, for a connector that declares any."""
    declaration = to.connector.declaration
    if not declaration.connection_settings:
        return {}
    delivery = request.items[0].delivery
    connection = ports.catalogue.get(Connection, delivery.space_id, delivery.connection_id)
    if connection is None:
        return Verdict(Fate.REFUSED, codes.DELIVERY_CONNECTION_UNKNOWN, codes.DELIVERY_CONNECTION_UNKNOWN.title)
    wrong = connection_mistakes(declaration, connection.connection_settings)
    return _hindrance(wrong) or filled(declaration.connection_settings, connection.connection_settings)


def _hindrance(wrong: Iterable[Mistake]) -> Verdict | None:
    hindrances = [f"{one.field}: {one.detail}" for one in wrong if one.code is not codes.UNKNOWN_FIELD]
    return Verdict(Fate.BLOCKED, codes.DELIVERY_SETTINGS_INVALID, "; ".join(hindrances)) if hindrances else None


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
