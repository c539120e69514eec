"""What `*.search` finds: filters AND-ed, the values of one filter OR-ed, in a stable order, a page at a time.

A filter is a field of `contracts.messages.queries`: each gives the ids that it leaves, without a look at every row.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec import UNSET, Struct

from contracts.messages.entities import entity_id
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
    found = [_ids(catalogue, table, field, values) for field, values in filters(query).items()]
    among = table.seen(set.intersection(*sorted(found, key=len)) if found else None)
    by = query.sort.removeprefix("-")
    rows = table.rows.page(
        "" if by == "id" else by, query.offset, query.limit, among=among, last_first=query.sort.startswith("-")
    )
    return Page(len(table) if among is None else len(among), rows)


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


def _ids(catalogue: Catalogue, table: EntityTable[Any], field: str, values: Iterable[Any]) -> set[str]:
    """The ids that a filter leaves."""
    match field:
        case _ if field in _HELD:
            kind = _HELD[field]
            found = (catalogue.tables[kind].find(value) for value in values)
            return {id_ for one in found if one is not None for id_ in _holders(catalogue, table, kind, entity_id(one))}
        case "name":
            return {id_ for id_ in map(table.named, values) if id_ is not None}
        case "external_id":
            return {id_ for value in values for id_ in table.with_external(value)}
        case _ if field in {"id", f"{table.kind}_id"}:
            return {entity_id(one) for one in map(table.find, values) if one is not None}
        case _:
            return table.rows.having(field, values)


def _holders(catalogue: Catalogue, table: EntityTable[Any], kind: str, id_: str) -> Iterable[str]:
    """An activation stands on its audience by its connection."""
    if (table.kind, kind) != ("activation", "audience"):
        return table.holders(held(kind, id_))
    connections = catalogue.connections.holders(held("audience", id_))
    return [one for connection in connections for one in table.holders(held("connection", connection))]
