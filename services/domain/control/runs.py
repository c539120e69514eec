"""Runs of scheduled audiences: what has been collected for them since takes effect in one step (engine.md §2).

What control accepts at or after the start of a run waits for the next. Called by the clock, and by `audiences.run`.
"""

from contracts import codes
from contracts.instants import DAY_MS
from contracts.messages.commands import AudienceReference
from contracts.messages.steps import RunStep
from services.domain.catalogue.audiences import referred_audience
from services.domain.catalogue.failed import fail
from services.domain.control.answer import ItemAnswer
from services.domain.control.schedule import live_ms
from services.domain.control.turn import Turn

_MINUTE_MS = 60_000


def run_due(turn: Turn) -> bool:
    """Runs the audiences whose time this instant is; whether there was anything to run."""
    runs, counters = turn.state.runs(), turn.state.counters
    minute, rest_ms = divmod(turn.at_ms % DAY_MS, _MINUTE_MS)
    audience_ids = [] if rest_ms else runs.get(minute, [])
    is_quiet = counters.step == counters.run_step and runs.get(counters.run_minute or 0) == audience_ids
    if not audience_ids or is_quiet:  # nothing has happened since the same audiences ran
        return False
    _run(turn, audience_ids)
    turn.state.note_run(minute)
    return True


def audience_run(turn: Turn, item: AudienceReference) -> ItemAnswer:
    """The next run now, of this audience; raises `ItemFailed`(not-found, audience-not-scheduled, …)."""
    audience = referred_audience(item, turn.state.catalogue)
    if audience.evaluation.mode != "scheduled":
        fail(codes.AUDIENCE_NOT_SCHEDULED, f"audience {audience.audience_id} changes at once")
    _run(turn, [audience.audience_id])
    data = {"audience_id": audience.audience_id, "version": audience.version, "step": turn.state.counters.step}
    return ItemAnswer(data, effect_ms=(turn.at_ms, live_ms(audience, turn.at_ms)))


def _run(turn: Turn, audience_ids: list[str]) -> None:
    step = turn.next_step()
    turn.effects.step(RunStep(space_id=turn.space_id, step=step, at_ms=turn.at_ms, audiences=audience_ids))
