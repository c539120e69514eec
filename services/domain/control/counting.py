"""The counters of an activation's status, which add up at all times: changes are what has come of them or waits."""

import msgspec

from contracts.messages.control_state import Delivering
from contracts.messages.published import ActivationCounters, ActivationStatus, ActivationTotals
from services.domain.control.turn import Turn


def counted(
    turn: Turn,
    status: ActivationStatus,
    counters: ActivationCounters,
    *,
    waited_ms: int | None = None,
    reports: int = 1,
) -> ActivationStatus:
    """The status with these counters, `pending` being what is left.

    `waited_ms`: a lane has spoken, and says how long the last of what it finished had waited.
    """
    done = counters.dropped + counters.merged + counters.delivered + counters.dead_lettered
    counters = msgspec.structs.replace(counters, pending=counters.changes - done)
    lag_seconds = status.lag_seconds
    if waited_ms is not None:
        lag_seconds = waited_ms / 1000 if counters.pending else 0.0
    return msgspec.structs.replace(
        status,
        counters=counters,
        totals=_totals(counters, status.totals.log_count + reports, spoken=lag_seconds is not None),
        lag_records=counters.pending,
        lag_seconds=lag_seconds,
        updated_at=turn.at,
    )


def with_held(turn: Turn, delivering: Delivering, held: dict[int, int]) -> Delivering:
    """What is held back counts as changes that are pending, until it is routed and counted as what it is."""
    more = sum(held.values()) - sum(delivering.held.values())
    if not more:
        return msgspec.structs.replace(delivering, held=held)
    counters = delivering.status.counters
    counters = msgspec.structs.replace(counters, changes=counters.changes + more)
    return msgspec.structs.replace(delivering, held=held, status=counted(turn, delivering.status, counters, reports=0))


def _totals(counters: ActivationCounters, log_count: int, *, spoken: bool) -> ActivationTotals:
    """`spoken`: a lane has; before that only what waits is known."""
    return ActivationTotals(
        log_count=log_count,
        ready_count=counters.delivered - counters.processing - counters.failed if spoken else None,
        processing_count=counters.processing if spoken else None,
        pending_count=counters.pending,
        upload_count=counters.uploads,
        failed_count=counters.dead_lettered + counters.failed if spoken else None,
        no_data_count=counters.merged if spoken else None,
        segment_upload_count=counters.changes - counters.dropped,
    )
