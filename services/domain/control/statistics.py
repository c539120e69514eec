"""Statistics of a list, asked of all partitions at one place in the log; the reply waits until they have answered.

What destinations have said of matches stands in the statuses of the list's activations.
"""

from contracts import codes
from contracts.messages.commands import AudienceReference
from contracts.messages.steps import CountStep
from services.domain.catalogue.audiences import referred_audience
from services.domain.catalogue.entity_table import held
from services.domain.catalogue.failed import fail
from services.domain.control.answer import ItemAnswer
from services.domain.control.turn import Turn


def statistics_asked(turn: Turn, item: AudienceReference) -> ItemAnswer:
    """`identifiers` is null until it is known, `match_rate` until one destination reports it, and where several do.

    No destination counts `matches`.
    """
    audience = referred_audience(item, turn.state.catalogue)
    if audience.kind != "list":
        fail(codes.AUDIENCE_NOT_LIST, f"audience {audience.audience_id} is {audience.kind}")
    step = turn.next_step()
    asked = CountStep(space_id=turn.space_id, step=step, at_ms=turn.at_ms, audience_id=audience.audience_id)
    turn.effects.step(asked)
    rates = _match_rates(turn, audience.audience_id)
    data: dict[str, object] = {
        "audience_id": audience.audience_id,
        "version": audience.version,
        "identifiers": None,
        "matches": None,
        "match_rate": rates[0]["match_rate"] if len(rates) == 1 else None,
        "match_rates": rates,
        "step": step,
    }
    return ItemAnswer(data, waits_for_step=step)


def _match_rates(turn: Turn, audience_id: str) -> list[dict[str, str]]:
    """What the destinations of the list's activations have said last, each of what it was sent."""
    catalogue = turn.state.catalogue
    connections = catalogue.connections.holders(held("audience", audience_id))
    activations = [
        one for connection in connections for one in catalogue.activations.holders(held("connection", connection))
    ]
    found: list[dict[str, str]] = []
    for activation_id in sorted(activations):
        kept = turn.state.deliveries.get(activation_id)
        rate = None if kept is None else kept.status.match_rate
        if kept is not None and rate is not None:
            destination_id = kept.status.destination_id
            found.append({"activation_id": activation_id, "destination_id": destination_id, "match_rate": rate})
    return found
