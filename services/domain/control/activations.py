"""Activations in time: their markers in the log of membership, and their status (architecture.md §7)."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Raw

from contracts.instants import DAY_MS, instant_text
from contracts.messages.control_state import Delivering
from contracts.messages.entities import Activation
from contracts.messages.published import ActivationStatus, Reason
from contracts.messages.results import Held
from contracts.messages.steps import ActivationStep
from services.domain.catalogue.connectors import list_of, replaces
from services.domain.catalogue.entity_table import held as held_by
from services.domain.control.counting import with_held
from services.domain.control.growing import is_grown, members_min, reported, waits
from services.domain.control.schedule import Stand, period_ms, stand_at
from services.domain.control.space_state import SpaceState
from services.domain.control.turn import Turn

_LANE_STATES = ("disabled", "parked", "retrying")  # the worst first
_Marker = Literal["started", "updated", "waiting", "paused", "resumed", "ended", "forgotten"]


def do_due(turn: Turn, at_ms: int) -> None:
    """Starts, ends, extends and sends anew what is to at that instant."""
    for activation, uploads in list(turn.state.activations_at(at_ms)):
        extends = activation.extend and period_ms(activation)[1] == at_ms
        form = _extended(turn, activation, at_ms) if extends else activation
        adjust(turn, form, at_ms, changed=uploads or extends, resync=uploads)


def adjust(
    turn: Turn, activation: Activation, at_ms: int, *, changed: bool = False, resync: bool | None = None
) -> None:
    """Writes the marker that the activation's present form and the time ask for, if any, and shows its state.

    `resync`: whether one that goes on sends all members, None: as a new one would.
    """
    before = _delivering(turn, activation)
    stand = stand_at(activation, at_ms)
    goes_on = resync if resync is not None else activation.perform_resync
    after = msgspec.structs.replace(before, running=stand == "running", paused=False)
    match stand:
        case "running" if not before.running and members_min(turn, activation) > 1:
            after = _wait(turn, activation, after, at_ms, resync=activation.perform_resync)
        case "running" if before.growing is not None and (before.paused or resync):
            after = _wait(turn, activation, after, at_ms, resync=before.growing.resync or bool(resync))
        case "running" if not before.running:
            _mark(turn, activation, "started", at_ms, resync=activation.perform_resync)
        case "running" if before.paused:
            _mark(turn, activation, "resumed", at_ms, resync=goes_on)
        case "running" if changed:
            _mark(turn, activation, "updated", at_ms, resync=resync or False)
        case "held":
            if before.running and not before.paused:
                _mark(turn, activation, "paused", at_ms)
            elif before.running and changed:
                _mark(turn, activation, "updated", at_ms)
            if before.growing is not None:  # a pause is no waiting for something
                before = with_held(turn, before, {})
            after = msgspec.structs.replace(before, paused=before.running)
        case "before" | "after" if before.running:
            after = _ended(turn, activation, after, at_ms)
    show(turn, after, _state(turn.state, activation, after, stand), at_ms)


def held(turn: Turn, result: Held) -> None:
    """A partition says what an activation would send that waits for its audience to grow; it may be enough now."""
    activation = turn.state.catalogue.activations.get(result.activation_id)
    before = turn.state.deliveries.get(result.activation_id)
    if activation is not None and before is not None:
        _go_on_if_grown(turn, activation, reported(turn, before, activation, result))


def destination_changed(turn: Turn, destination_id: str) -> None:
    """It may take smaller audiences now."""
    for activation, delivering in _of_destination(turn, destination_id):
        _go_on_if_grown(turn, activation, delivering)


def take_away(turn: Turn, activation: Activation) -> None:
    """The activation is deleted; what is still on its way is counted all the same."""
    before = _delivering(turn, activation)
    if before.running:
        before = _ended(turn, activation, before, turn.at_ms)
    if before.ended_step:
        _mark(turn, activation, "forgotten", turn.at_ms)
    after = msgspec.structs.replace(before, running=False, paused=False, deleted=True)
    show(turn, after, "deleted", turn.at_ms)
    if is_over(turn, after):
        forget(turn, after)


def lanes_changed(turn: Turn, destination_id: str, error: Reason | None, waited_ms: int | None) -> None:
    """The activations of a destination show how its lanes are, why, and how long what they try in vain has waited."""
    for activation, before in _of_destination(turn, destination_id):
        status = before.status
        if error is not None:
            status = msgspec.structs.replace(status, last_error=error, updated_at=turn.at)
        if waited_ms is not None and status.counters.pending:
            status = msgspec.structs.replace(status, lag_seconds=waited_ms / 1000, updated_at=turn.at)
        delivering = msgspec.structs.replace(before, status=status)
        show(turn, delivering, _state(turn.state, activation, delivering, stand_at(activation, turn.at_ms)), turn.at_ms)


def show(turn: Turn, delivering: Delivering, state: str, at_ms: int) -> None:
    """Keeps what has changed; the status is published at the end of the batch."""
    status = delivering.status
    if status.state != state:
        status = msgspec.structs.replace(status, state=state, updated_at=instant_text(at_ms))
    after = msgspec.structs.replace(delivering, status=status)
    if after != turn.state.deliveries.get(after.id):
        turn.state.deliveries.put(after.id, after)


def is_over(turn: Turn, delivering: Delivering) -> bool:
    """Whether nothing more can come of what does not run: all partitions have taken its end, or it never ran."""
    everywhere = len(delivering.ended) == turn.config.membership_partitions
    return delivering.ended_step == 0 or (everywhere and delivering.status.counters.pending == 0)


def forget(turn: Turn, delivering: Delivering) -> None:
    """Nothing more can come of a deleted activation: its last status is published, and control forgets it."""
    kept = turn.state.deliveries.get(delivering.id)
    assert kept is not None
    turn.effects.activation_status(kept.status)
    turn.state.deliveries.drop(delivering.id)


def _ended(turn: Turn, activation: Activation, before: Delivering, at_ms: int) -> Delivering:
    """Every partition has to take this end; what they say of one before it counts no more."""
    step = _mark(turn, activation, "ended", at_ms)
    return msgspec.structs.replace(with_held(turn, before, {}), ended=[], ended_step=step, growing=None)


def _wait(turn: Turn, activation: Activation, before: Delivering, at_ms: int, *, resync: bool) -> Delivering:
    return waits(turn, before, _mark(turn, activation, "waiting", at_ms, resync=resync), resync=resync)


def _go_on_if_grown(turn: Turn, activation: Activation, delivering: Delivering) -> None:
    """What is held stays counted until the router has had it."""
    if is_grown(turn, delivering, activation) and stand_at(activation, turn.at_ms) == "running":
        assert delivering.growing is not None
        _mark(turn, activation, "resumed", turn.at_ms, resync=delivering.growing.resync)
        delivering = msgspec.structs.replace(delivering, growing=None)
    show(turn, delivering, _state(turn.state, activation, delivering, stand_at(activation, turn.at_ms)), turn.at_ms)


def _extended(turn: Turn, activation: Activation, at_ms: int) -> Activation:
    """The activation whose end, which is now, has moved on."""
    later_ms = at_ms + activation.extend_days * DAY_MS
    form = msgspec.structs.replace(
        activation,
        version=activation.version + 1,
        updated_at=instant_text(at_ms),
        updated_by=None,
        end_date=instant_text(later_ms),
    )
    turn.state.catalogue.activations.put(form)
    turn.state.activation_changed(activation, form)
    return form


def _mark(turn: Turn, activation: Activation, marker: _Marker, at_ms: int, *, resync: bool = False) -> int:
    """Writes the marker; returns its step."""
    destination = turn.state.catalogue.destinations.get(activation.destination_id)
    assert destination is not None, "a destination that a connection holds on to is not deleted"
    connection = turn.state.catalogue.connections.get(activation.connection_id)
    assert connection is not None, "a connection with an activation is not deleted"
    turn.state.move_time(at_ms)
    step = turn.state.take_step()
    form: Any = Raw(turn.state.catalogue.forms.of(activation))  # encoded as it is
    turn.effects.step(
        ActivationStep(
            space_id=turn.space_id,
            step=step,
            at_ms=at_ms,
            marker=marker,
            activation=form,
            queue=destination.queue,
            resync=resync,
            replaces=replaces(connection, destination, turn.config.connectors),
            makes=list_of(connection, destination, turn.config.connectors) is not None,
        )
    )
    return step


def _of_destination(turn: Turn, destination_id: str) -> Iterator[tuple[Activation, Delivering]]:
    for activation_id in turn.state.catalogue.activations.holders(held_by("destination", destination_id)):
        activation = turn.state.catalogue.activations.get(activation_id)
        assert activation is not None
        yield activation, _delivering(turn, activation)


def _delivering(turn: Turn, activation: Activation) -> Delivering:
    kept = turn.state.deliveries.get(activation.activation_id)
    if kept is not None:
        return kept
    status = ActivationStatus(
        space_id=turn.space_id,
        activation_id=activation.activation_id,
        destination_id=activation.destination_id,
        audience_id=activation.audience_id,
        state="",
        updated_at=turn.at,
    )
    return Delivering(space_id=turn.space_id, id=activation.activation_id, status=status)


def _state(space: SpaceState, activation: Activation, delivering: Delivering, stand: Stand) -> str:
    if stand == "running" and delivering.growing is not None:
        return "waiting-for-minimum"
    if stand == "running":
        lanes = space.lanes.get(activation.destination_id)
        states = set(lanes.states.values()) if lanes is not None else set()
        return next((one for one in _LANE_STATES if one in states), "running")
    if not activation.enabled:
        return "disabled"
    if stand == "after":
        return "ended"
    return "paused" if activation.paused else "scheduled"
