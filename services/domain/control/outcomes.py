"""What became of routed changes and deliveries, counted once each into the status of their activation.

Lanes report at least once: an outcome that does not pass the watermark of its source has been counted.
"""

from collections.abc import Iterator

import msgspec

from contracts import catalog
from contracts.messages.control_state import DeliveredAudience, Delivering, Lanes
from contracts.messages.delivery import Delivered, LaneState, ListCleared, ListMade, Reported, Routed
from contracts.messages.published import ActivationStatus, Reason
from services.domain.control.activations import forget, is_over, lanes_changed
from services.domain.control.counting import counted, with_held
from services.domain.control.space_state import SpaceState
from services.domain.control.turn import Turn


def routed(turn: Turn, outcome: Routed) -> None:
    """The router has seen changes of an activation up to an offset of a changes partition."""
    before = turn.state.deliveries.get(outcome.activation_id)
    if before is None or outcome.through_offset <= before.routed.get(outcome.partition, -1):
        return
    if before.growing is None:  # what was held back has been routed here
        before = with_held(turn, before, {n: members for n, members in before.held.items() if n != outcome.partition})
    counters = before.status.counters
    counters = msgspec.structs.replace(
        counters, changes=counters.changes + outcome.changes, dropped=counters.dropped + outcome.dropped
    )
    has_ended = 0 < outcome.ended_step == before.ended_step  # of an end before that, nothing is awaited any more
    after = msgspec.structs.replace(
        before,
        status=counted(turn, before.status, counters),
        routed=before.routed | {outcome.partition: outcome.through_offset},
        ended=sorted({*before.ended, outcome.partition}) if has_ended else before.ended,
    )
    _keep(turn, after)


def delivered(turn: Turn, outcome: Delivered) -> None:
    """A lane has finished an activation's records up to an offset of a queue partition."""
    before = turn.state.deliveries.get(outcome.activation_id)
    lane = _lane(outcome)
    if before is None or outcome.through_offset <= before.delivered.get(lane, -1):
        return
    counters = before.status.counters
    counters = msgspec.structs.replace(
        counters,
        merged=counters.merged + outcome.merged,
        delivered=counters.delivered + outcome.delivered,
        dead_lettered=counters.dead_lettered + outcome.dead_lettered,
        uploads=counters.uploads + outcome.uploads,
        processing=counters.processing + outcome.processing,
    )
    status = counted(turn, before.status, counters, waited_ms=outcome.waited_ms)
    if outcome.delivered:
        status = msgspec.structs.replace(status, last_success_at=outcome.at)
        _note_delivered(turn, status.audience_id, outcome.at)
    if outcome.code is not None:
        reason = Reason(code=outcome.code, detail=(outcome.detail or "")[:500])
        status = msgspec.structs.replace(status, last_error=reason)
    after = msgspec.structs.replace(before, status=status, delivered=before.delivered | {lane: outcome.through_offset})
    _keep(turn, after)


def reported(turn: Turn, outcome: Reported) -> None:
    """A destination has said what became of members that it had taken.

    A crash between taking and saying so may have them taken, and reported on, twice: nothing is counted below zero.
    """
    before = turn.state.deliveries.get(outcome.activation_id)
    source = f"{catalog.RECEIPTS}/{outcome.partition}"
    if before is None or outcome.through_offset <= before.delivered.get(source, -1):
        return
    counters = before.status.counters
    processing = max(counters.processing - outcome.members, 0)
    failed = min(counters.failed + outcome.failed, counters.delivered - processing)
    counters = msgspec.structs.replace(counters, processing=processing, failed=failed)
    status = counted(turn, before.status, counters)
    status = msgspec.structs.replace(status, match_rate=outcome.matched or status.match_rate)
    if outcome.code is not None:
        reason = Reason(code=outcome.code, detail=(outcome.detail or "")[:500])
        status = msgspec.structs.replace(status, last_error=reason)
    offsets = before.delivered | {source: outcome.through_offset}
    _keep(turn, msgspec.structs.replace(before, status=status, delivered=offsets))


def lane_changed(turn: Turn, outcome: LaneState) -> None:
    """A lane of a destination has begun or ceased to deliver."""
    if turn.state.catalogue.destinations.get(outcome.destination_id) is None:
        return  # it said so late: nobody would ever forget it again
    kept = turn.state.lanes.get(outcome.destination_id)
    states = dict(kept.states) if kept is not None else {}
    states.pop(_lane(outcome), None)
    if outcome.state != "delivering":
        states[_lane(outcome)] = outcome.state
    if states:
        lanes = Lanes(space_id=turn.space_id, id=outcome.destination_id, states=states)
        turn.state.lanes.put(lanes.id, lanes)
    else:
        turn.state.lanes.drop(outcome.destination_id)
    error = None if outcome.code is None else Reason(code=outcome.code, detail=(outcome.detail or "")[:500])
    waited_ms = None if outcome.state == "delivering" else outcome.waited_ms
    lanes_changed(turn, outcome.destination_id, error, waited_ms)


def list_cleared(turn: Turn, outcome: ListCleared) -> None:
    """Lanes learn from the connection that it is done, whatever becomes of the one that did it."""
    connection = turn.state.catalogue.connections.get(outcome.connection_id)
    if connection is not None and connection.cleared_step < outcome.step:
        turn.state.catalogue.connections.put(msgspec.structs.replace(connection, cleared_step=outcome.step))


def list_made(turn: Turn, outcome: ListMade) -> None:
    """Of the list that the connection names now; where its settings have changed since, the lane looks again."""
    connection = turn.state.catalogue.connections.get(outcome.connection_id)
    if connection is not None and connection.version == outcome.version:
        listed = msgspec.structs.replace(connection, external_audience_id=outcome.external_audience_id)
        turn.state.catalogue.connections.put(listed)


def changed_statuses(state: SpaceState) -> Iterator[ActivationStatus]:
    """The statuses to publish at the end of a batch."""
    for delivering in state.deliveries.changed():
        yield delivering.status


def _note_delivered(turn: Turn, audience_id: str, at: str) -> None:
    if audience_id not in turn.state.delivered and turn.state.catalogue.audiences.get(audience_id) is not None:
        entry = DeliveredAudience(space_id=turn.space_id, id=audience_id, at=at)
        turn.state.delivered.put(audience_id, entry)


def _keep(turn: Turn, after: Delivering) -> None:
    turn.state.deliveries.put(after.id, after)
    if after.deleted and is_over(turn, after):
        forget(turn, after)


def _lane(outcome: Delivered | LaneState) -> str:
    return f"{outcome.queue}/{outcome.partition}"
