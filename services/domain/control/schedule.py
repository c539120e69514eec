"""When things happen by the time of a space: starts and ends of activations, hours of the day."""

from collections.abc import Iterable

from contracts.instants import DAY_MS, parse_instant
from contracts.messages.entities import Activation, Audience

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_RETAIL_RUNS = ["00:00", "12:00"]
_RETAIL_LATENCY_MS = 5 * _HOUR_MS  # from a run until a live campaign sees it: reference/retail-media.md §5


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


def run_minutes(audience: Audience) -> list[int]:
    """The minutes of the day at which a scheduled audience runs."""
    times = audience.evaluation.at if audience.evaluation.mode == "scheduled" else None
    return [int(one[:2]) * 60 + int(one[3:]) for one in times or ()]


def takes_effect_ms(audience: Audience, at_ms: int) -> tuple[int, int]:
    """When what is accepted now shows in the audience (its next run), and when it is expected to be live."""
    runs_ms = [next_minute_ms(at_ms, minute) for minute in run_minutes(audience)]
    effective_ms = min(runs_ms, default=at_ms)
    return effective_ms, live_ms(audience, effective_ms)


def live_ms(audience: Audience, effective_ms: int) -> int:
    """When a run of that instant is expected to be live: at once, but for the twice-daily runs of retail media."""
    return effective_ms + (_RETAIL_LATENCY_MS if audience.evaluation.at == _RETAIL_RUNS else 0)


def next_minute_ms(at_ms: int, minute: int) -> int:
    """When that minute of the day (UTC) next begins, after `at_ms`."""
    begins_ms = at_ms // DAY_MS * DAY_MS + minute * _MINUTE_MS
    return begins_ms if begins_ms > at_ms else begins_ms + DAY_MS


def next_hour_ms(at_ms: int, hour: int) -> int:
    """When that hour of the day (UTC) next begins, after `at_ms`."""
    return next_minute_ms(at_ms, hour * 60)


def _at(text: str | None) -> int | None:
    if text is None:
        return None
    at_ms = parse_instant(text)
    assert at_ms is not None, "checked when it was accepted"
    return at_ms
