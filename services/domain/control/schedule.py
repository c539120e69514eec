"""When things happen by the time of a space: starts, ends and uploads of activations, hours of the day."""

from typing import Literal

from contracts.instants import DAY_MS, parse_instant
from contracts.messages.entities import Activation, Audience

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_RETAIL_RUNS = ["00:00", "12:00"]
_RETAIL_LATENCY_MS = 5 * _HOUR_MS  # from a run until a live campaign sees it: reference/retail-media.md §5


Stand = Literal["before", "running", "held", "after"]


def stand_at(activation: Activation, at_ms: int) -> Stand:
    """Where the activation stands at that instant: before, in or after its period; `held`: in it, but not to go on."""
    start_ms, end_ms = period_ms(activation)
    if end_ms is not None and end_ms <= at_ms:
        return "after"
    if start_ms is not None and start_ms > at_ms:
        return "before"
    return "running" if activation.enabled and not activation.paused else "held"


def period_ms(activation: Activation) -> tuple[int | None, int | None]:
    """Start and end, None where there is none. A date is its 00:00 UTC."""
    return _at(activation.start_date), _at(activation.end_date)


def next_upload_ms(activation: Activation, after_ms: int) -> int | None:
    """When a recurring activation next sends all members again, None: not within its period."""
    end_ms, at_ms = period_ms(activation)[1], _upload_ms(activation, after_ms)
    return at_ms if end_ms is None or at_ms < end_ms else None


def uploads(activation: Activation, after_ms: int, until_ms: int) -> int:
    """How often a recurring activation sends all members again after an instant until another, its end moving on."""
    end_ms, next_ms = period_ms(activation)[1], _upload_ms(activation, after_ms)
    moves_on = end_ms is None or (activation.extend and end_ms > after_ms)
    last_ms = until_ms if end_ms is None or moves_on else min(end_ms - 1, until_ms)
    return max(0, (last_ms - next_ms) // (activation.recurring_days * DAY_MS) + 1)


def _upload_ms(activation: Activation, after_ms: int) -> int:
    start_ms, _ = period_ms(activation)
    first_ms = start_ms if start_ms is not None else _at(activation.created_at)
    assert first_ms is not None
    every_ms = activation.recurring_days * DAY_MS
    return first_ms + max(1, (after_ms - first_ms) // every_ms + 1) * every_ms


def extensions(activation: Activation, after_ms: int, until_ms: int) -> int:
    """How often the end of an activation that extends itself moves on after an instant until another."""
    end_ms = period_ms(activation)[1]
    if end_ms is None or not after_ms < end_ms <= until_ms:  # one that has passed moves no more
        return 0
    return (until_ms - end_ms) // (activation.extend_days * DAY_MS) + 1


def hour_of(process_at: str) -> int:
    """The hour that a feed's `process_at` names."""
    return int(process_at[:2])


def run_minutes(audience: Audience) -> list[int]:
    """The minutes of the day at which a scheduled audience runs."""
    evaluation = audience.evaluation
    if evaluation.mode != "scheduled" or evaluation.at is None:
        return []
    return [int(one[:2]) * 60 + int(one[3:]) for one in evaluation.at]


def takes_effect_ms(audience: Audience, at_ms: int) -> tuple[int, int]:
    """When what is accepted now shows in the audience (its next run), and when it is expected to be live."""
    if audience.evaluation.mode != "scheduled":
        return at_ms, at_ms
    effective_ms = min(next_minute_ms(at_ms, minute) for minute in run_minutes(audience))
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
