"""Which audience a row names, as things stood when its import was opened. Called by `Reading` for each distinct text.

A reference is an id, else an external id, else a name (contracts.md §1). What an object can't name is unknown to it:
composed and inactive audiences, those of another id type, those created after `open_step` (engine.md §1 rule 7).
"""

from collections.abc import Callable, Iterable

from contracts.messages.entities import Audience

Resolve = Callable[[str], str | None]
"""The audience id that a text names, else None."""


def audience_resolver(audiences: Iterable[Audience], *, id_type: str, open_step: int) -> Resolve:
    """The resolver of one import over the present audiences of its space.

    An external id that two audiences have (under different names of it) refers to neither.
    """
    by_id: dict[str, Audience] = {}
    by_external_id: dict[str, Audience | None] = {}
    by_name: dict[str, Audience] = {}
    for audience in audiences:
        if audience.created_step > open_step:
            continue
        by_id[audience.audience_id] = audience
        by_name[audience.name] = audience
        for external_id in set(audience.external_ids.values()):
            by_external_id[external_id] = None if external_id in by_external_id else audience

    def resolve(text: str) -> str | None:
        found = by_id.get(text) or by_external_id.get(text) or by_name.get(text)
        if found is None or found.kind != "list" or found.id_type != id_type or found.lifecycle_state == "inactive":
            return None
        return found.audience_id

    return resolve
