"""Items that only read: `*.get` and `*.search` of every kind. Nothing changes, and nothing of them is remembered."""

from typing import Final

import msgspec

from contracts import codes
from contracts.messages.commands import SpaceReference
from contracts.messages.entities import CatalogueEntity
from contracts.messages.feed_commands import ImportReference
from contracts.messages.fields import Versioned
from contracts.messages.queries import ImportQuery, Query
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.item import referred, referred_import
from services.domain.catalogue.search import Page, filters, matching, page, search
from services.domain.catalogue.spaces import check_own_space
from services.domain.control.answer import ItemAnswer, entity_data
from services.domain.control.turn import Turn

_RELATED_MAX: Final = 500


def entity_got(turn: Turn, kind: str, item: Versioned) -> ItemAnswer:
    """The entity that any reference names, what it uses and what uses it (the first 500)."""
    table = turn.state.catalogue.tables[kind]
    entity: CatalogueEntity = referred(table, item)
    data = entity_data(entity)
    id_ = str(data[f"{kind}_id"])
    data["uses"] = _related(turn.state.catalogue, turn.state.catalogue.uses(kind, id_))
    data["used_by"] = _related(turn.state.catalogue, turn.state.catalogue.users_of(kind, id_))
    return ItemAnswer(data)


def entities_found(turn: Turn, kind: str, query: Query) -> ItemAnswer:
    """A page of what matches."""
    catalogue = turn.state.catalogue
    found = search(catalogue, catalogue.tables[kind], query)
    return _found(query, found, [entity_data(one) for one in found.rows])


def space_got(turn: Turn, item: SpaceReference) -> ItemAnswer:
    """The command's own space."""
    space = turn.state.catalogue.space
    assert space is not None, "a read changes nothing, so the space is still there"
    check_own_space(item, space)
    return ItemAnswer(entity_data(space))


def spaces_found(turn: Turn, query: Query) -> ItemAnswer:
    """The command's own space, if it matches."""
    said = filters(query)
    ids = said.pop("id", None)
    spaces = [one for one in turn.state.catalogue.spaces if ids is None or one.space_id in ids]
    external = said.pop("external_id", None)
    spaces = [one for one in spaces if external is None or not external.isdisjoint(one.external_ids.values())]
    found = page(matching(spaces, said), query.offset, query.limit)
    return _found(query, found, [entity_data(one) for one in found.rows])


def import_got(turn: Turn, item: ImportReference) -> ItemAnswer:
    """One that has not ended: those that have stand on `usher.imports.v1`."""
    import_id = referred_import(item)
    flight = turn.state.imports.get(import_id)
    if flight is None:
        fail(codes.NOT_FOUND, f"import {quoted(import_id)} is not under way")
    return ItemAnswer(msgspec.to_builtins(flight.record))


def imports_found(turn: Turn, query: ImportQuery) -> ItemAnswer:
    """Those that have not ended, the oldest first."""
    records = sorted(
        (one.record for one in turn.state.imports.unordered()), key=lambda one: (one.announced_at, one.import_id)
    )
    found = page(matching(records, filters(query)), query.offset, query.limit)
    return _found(query, found, [msgspec.to_builtins(one) for one in found.rows])


def nothing_found(query: Query | ImportQuery) -> ItemAnswer:
    """A page of nothing."""
    return _found(query, Page(0, []), [])


def _found(query: Query | ImportQuery, found: Page, results: list[dict[str, object]]) -> ItemAnswer:
    return ItemAnswer({"total": found.total, "offset": query.offset, "limit": query.limit, "results": results})


def _related(catalogue: Catalogue, pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    seen = [(kind, id_) for kind, id_ in pairs if catalogue.tables[kind].seen({id_})]
    return [{"kind": kind, "id": id_} for kind, id_ in seen[:_RELATED_MAX]]
