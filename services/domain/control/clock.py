"""A space's time: what becomes due is done at its instant, in order, and only then does time move on."""

from dataclasses import replace
from typing import Final

from msgspec import structs

from contracts import codes
from contracts.instants import DAY_MS, instant_text
from contracts.messages.steps import TickStep
from services.domain.catalogue.failed import fail
from services.domain.catalogue.item import Origin, changed
from services.domain.control.activations import do_due
from services.domain.control.guard import lapse
from services.domain.control.runs import run_due
from services.domain.control.sets import give_up_late
from services.domain.control.turn import Turn
from services.domain.control.waiting import open_due

DUE_MAX: Final = 5_000  # half a second of work


def settle(turn: Turn, until_ms: int) -> None:
    """Does all that is due at or before `until_ms`; at one instant expiry before runs, and all else after them."""
    while (at_ms := turn.state.next_instant_ms()) is not None and at_ms <= until_ms:
        if turn.state.counters.expiries_ms[:1] == [at_ms]:
            _tick(turn, at_ms)
        turn.state.move_time(at_ms)
        _do_at(turn, at_ms)


def advance(turn: Turn, to_ms: int, origin: Origin) -> int | None:
    """Moves a manual clock; the number of the step whose arrival everywhere is the answer, None: there is no step.

    Raises `ItemFailed`(clock-not-manual, clock-backwards, clock-too-far). To where the clock stands already is no step.
    """
    state = turn.state
    if not state.is_manual:
        fail(codes.CLOCK_NOT_MANUAL, "this space keeps system time")
    left_ms = state.counters.time_ms
    if to_ms < left_ms:
        fail(codes.CLOCK_BACKWARDS, f"the clock stands at {instant_text(left_ms)}")
    if to_ms == left_ms:
        return max((one.step for one in state.advances), default=None)
    _count(turn, to_ms)
    settle(turn, to_ms - 1)
    step = _tick(turn, to_ms)
    state.move_time(to_ms)
    if _do_at(turn, to_ms):
        step = _tick(turn, to_ms)  # who waits for this instant waits for what was run at it
    space = state.catalogue.space
    assert space is not None
    later = structs.replace(origin, at_ms=to_ms)
    state.catalogue.spaces.put(space.space_id, changed(space, later, time=instant_text(to_ms)))
    return step


def _count(turn: Turn, to_ms: int) -> None:
    """Raises `ItemFailed`(clock-too-far) where the command would hold up its shard; a day can always be gone."""
    if to_ms - turn.state.counters.time_ms <= DAY_MS:
        return
    due = turn.state.count_due(to_ms)
    if turn.spent.instants + due > DUE_MAX:
        fail(codes.CLOCK_TOO_FAR, f"{due} things are due by then, a command does {DUE_MAX}: go there by several")
    turn.spent.instants += due


def _do_at(turn: Turn, at_ms: int) -> bool:
    """What is due at that instant, but for expiry, which comes first; whether anything was run."""
    then = replace(turn, instant_ms=at_ms)
    has_run = run_due(then)
    lapse(then)
    give_up_late(then)
    open_due(then)
    do_due(turn, at_ms)
    return has_run


def _tick(turn: Turn, at_ms: int) -> int:
    step = turn.state.take_step()
    turn.effects.step(TickStep(space_id=turn.space_id, step=step, at_ms=at_ms))
    return step
