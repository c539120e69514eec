"""One exchange with a destination: whether it can be reached at all, a request with its secrets and token, the answer.

Called for deliveries, receipts, verifications and the making of lists, which say what is asked and what follows.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from contracts import codes
from contracts.messages.entities import Destination
from services.activation.lane_ports import LanePorts
from services.connectors.base import Connector, Settings, Target, WebConnector
from services.connectors.declaration import Limits, Mistake, filled, limited, mistakes
from services.connectors.registry import CONNECTORS
from services.domain.delivery.answers import Fate, Verdict, retry_after_seconds
from services.runtime.failures import Rejected, Unavailable
from services.runtime.secret import SecretUnavailable
from services.runtime.secret_references import ReferenceRefused
from services.runtime.web import WebAnswer, WebRequest

T = TypeVar("T")

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
    why = hindrance(wrong)
    if why is not None:
        return why
    return Ready(
        destination=destination,
        connector=connector,
        settings=filled(declaration.settings, destination.settings),
        limits=limited(declaration, destination.limits),
    )


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


def hindrance(wrong: Iterable[Mistake]) -> Verdict | None:
    """Why nothing can be sent with such entries, None where nothing stands against it."""
    hindrances = [f"{one.field}: {one.detail}" for one in wrong if one.code is not codes.UNKNOWN_FIELD]
    return Verdict(Fate.BLOCKED, codes.DELIVERY_SETTINGS_INVALID, "; ".join(hindrances)) if hindrances else None
