"""What `*.search` finds: filters AND-ed, the values of one filter OR-ed, in a stable order, a page at a time.

A filter is a field of `contracts.messages.queries`. Those on ids and on what an entity holds on to are looked up; all
others are read from the rows that are left, in one pass over the table at most.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec import UNSET, Struct

from contracts.messages.entities import Entity, entity_id
from contracts.messages.queries import Query
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.entity_table import E, EntityTable, held

_PAGE: Final = frozenset({"sort", "offset", "limit"})
_HELD: Final = {
    "audience": "audience",
    "destination": "destination",
    "connection": "connection",
    "campaign": "campaign",
    "uses": "audience",
}
"""The filters on what an entity holds on to, and of what kind that is."""


class Page(NamedTuple):
    """`total` match; `rows` are those from `offset` on."""

    total: int
    rows: Sequence[Any]


def search(catalogue: Catalogue, table: EntityTable[E], query: Query) -> Page:
    """The page of a table that a query asks for."""
    said = filters(query)
    looked_up = {field: _lookup(catalogue, table, field) for field in said}
    rows = _in_order(table, query, [find(said[field]) for field, find in looked_up.items() if find is not None])
    left = {field: values for field, values in said.items() if looked_up[field] is None}
    return page(matching(rows, left), query.offset, query.limit)


def filters(query: Struct) -> dict[str, set[object]]:
    """The values of each filter that is given."""
    given = {name: getattr(query, name) for name in query.__struct_fields__ if name not in _PAGE}
    return {
        name: set(value) if isinstance(value, list) else {value} for name, value in given.items() if value is not UNSET
    }


def matching(rows: Sequence[Any], said: dict[str, set[object]]) -> Sequence[Any]:
    """The rows that have one of the values in each field; of a list, one of its parts."""
    for field, values in said.items():
        read = attrgetter(field)
        if field == "labels":
            rows = [row for row in rows if not values.isdisjoint(read(row))]
        else:
            rows = [row for row in rows if read(row) in values]
    return rows


def page(rows: Sequence[Any], offset: int, limit: int) -> Page:
    """A page of rows that are in order."""
    return Page(len(rows), rows[offset : offset + limit])


def _lookup(catalogue: Catalogue, table: EntityTable[Any], field: str) -> Callable[[Iterable[Any]], set[str]] | None:
    """How the ids that a filter leaves are found without looking at every row, None: they aren't."""

    def references(values: Iterable[str]) -> set[str]:
        return {entity_id(found) for found in map(table.find, values) if found is not None}

    def names(values: Iterable[str]) -> set[str]:
        return {id_ for id_ in map(table.named, values) if id_ is not None}

    def externals(values: Iterable[str]) -> set[str]:
        return {id_ for value in values for id_ in table.with_external(value)}

    def holders(values: Iterable[str]) -> set[str]:
        kind = _HELD[field]
        found = (catalogue.tables[kind].find(value) for value in values)
        return {id_ for one in found if one is not None for id_ in _holders(catalogue, table, kind, entity_id(one))}

    by_field = {"id": references, f"{table.kind}_id": references, "name": names, "external_id": externals}
    return holders if field in _HELD else by_field.get(field)


def _holders(catalogue: Catalogue, table: EntityTable[Any], kind: str, id_: str) -> Iterable[str]:
    """An activation stands on its audience by its connection."""
    if (table.kind, kind) != ("activation", "audience"):
        return table.holders(held(kind, id_))
    connections = catalogue.connections.holders(held("audience", id_))
    return [one for connection in connections for one in table.holders(held("connection", connection))]


def _in_order(table: EntityTable[E], query: Query, found: list[set[str]]) -> list[E]:
    field = query.sort.removeprefix("-")
    by = "" if field == "id" else field
    if found:
        picked = (table.get(id_) for id_ in set.intersection(*found))
        rows = sorted((one for one in picked if one is not None), key=lambda one: _place(one, by))
    else:
        rows = table.rows.ordered(by)
    return rows[::-1] if query.sort.startswith("-") else rows


def _place(entity: Entity, by: str) -> tuple[str, str]:
    own_id = entity_id(entity)  # type: ignore[arg-type]  # tables hold nothing else
    return (getattr(entity, by) if by else own_id), own_id
