"""When things happen by the time of a space: starts and ends of activations, hours of the day."""

from collections.abc import Iterable

from contracts.instants import DAY_MS, parse_instant
from contracts.messages.entities import Activation

_HOUR_MS = 3_600_000


def runs_at(activation: Activation, at_ms: int) -> bool:
    """Whether the activation is to run at that instant: enabled, at or after its start, before its end."""
    start_ms, end_ms = period_ms(activation)
    return activation.enabled and (start_ms is None or start_ms <= at_ms) and (end_ms is None or at_ms < end_ms)


def period_ms(activation: Activation) -> tuple[int | None, int | None]:
    """Start and end, None where there is none. A date is its 00:00 UTC."""
    return _at(activation.start_date), _at(activation.end_date)


def activation_instants(activations: Iterable[Activation]) -> list[int]:
    """Every start and end, in order, each once."""
    return sorted({at for one in activations for at in period_ms(one) if at is not None})


def hour_of(process_at: str) -> int:
    """The hour that a feed's `process_at` names."""
    return int(process_at[:2])


def next_hour_ms(at_ms: int, hour: int) -> int:
    """When that hour of the day (UTC) next begins, after `at_ms`."""
    begins_ms = at_ms // DAY_MS * DAY_MS + hour * _HOUR_MS
    return begins_ms if begins_ms > at_ms else begins_ms + DAY_MS


def _at(text: str | None) -> int | None:
    if text is None:
        return None
    at_ms = parse_instant(text)
    assert at_ms is not None, "checked when it was accepted"
    return at_ms
