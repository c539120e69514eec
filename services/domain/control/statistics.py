"""Statistics of a list, asked of all partitions at one place in the log; the reply waits until they have answered."""

from contracts import codes
from contracts.messages.commands import AudienceReference
from contracts.messages.steps import CountStep
from services.domain.catalogue.audiences import referred_audience
from services.domain.catalogue.failed import fail
from services.domain.control.answer import ItemAnswer
from services.domain.control.turn import Turn


def statistics_asked(turn: Turn, item: AudienceReference) -> ItemAnswer:
    """`identifiers` is null until it is known, `matches` and `match_rate` until a destination reports them."""
    audience = referred_audience(item, turn.state.catalogue)
    if audience.kind != "list":
        fail(codes.AUDIENCE_NOT_LIST, f"audience {audience.audience_id} is {audience.kind}")
    step = turn.next_step()
    asked = CountStep(space_id=turn.space_id, step=step, at_ms=turn.at_ms, audience_id=audience.audience_id)
    turn.effects.step(asked)
    data: dict[str, object] = {
        "audience_id": audience.audience_id,
        "version": audience.version,
        "identifiers": None,
        "matches": None,
        "match_rate": None,
        "step": step,
    }
    return ItemAnswer(data, waits_for_step=step)
