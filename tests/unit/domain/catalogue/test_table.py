"""Pages and values of a table are those of all its rows, sorted and filtered anew, whatever has happened to it."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from services.domain.catalogue.table import Table


class Row(Struct, frozen=True):
    """What is searched by."""

    name: str
    labels: list[str]


IDS = st.sampled_from("abcdefghij")
ROWS = st.builds(Row, st.sampled_from("xyz"), st.lists(st.sampled_from("pqr"), max_size=3))
STEPS = st.lists(st.tuples(IDS, st.none() | ROWS, st.sampled_from(["", "name"]), st.booleans()), max_size=30)


def expected(rows: dict[str, Row], by: str, *, last_first: bool) -> list[Row]:
    """All rows in order."""
    keys = sorted((getattr(row, by) if by else "", id_) for id_, row in rows.items())
    return [rows[id_] for _, id_ in (keys[::-1] if last_first else keys)]


@given(STEPS, st.integers(0, 5) | st.just(2**64), st.integers(1, 5), st.sets(st.sampled_from("pqr"), min_size=1))
def test_a_page_is_a_part_of_everything(
    steps: list[tuple[str, Row | None, str, bool]], offset: int, limit: int, labels: set[str]
) -> None:
    table: Table[Row] = Table()
    rows: dict[str, Row] = {}
    for id_, row, by, last_first in steps:
        if row is None:
            table.drop(id_)
            rows.pop(id_, None)
        else:
            table.put(id_, row)
            rows[id_] = row
        found = {one for one, row in rows.items() if not labels.isdisjoint(row.labels)}
        everything = expected(rows, by, last_first=last_first)
        part = expected({one: rows[one] for one in found}, by, last_first=last_first)

        assert table.having("labels", labels) == found
        assert table.page(by, offset, limit, last_first=last_first) == everything[offset : offset + limit]
        assert table.page(by, offset, limit, among=found, last_first=last_first) == part[offset : offset + limit]


@given(STEPS, STEPS)
def test_what_was_tried_out_is_undone(
    first: list[tuple[str, Row | None, str, bool]], tried: list[tuple[str, Row | None, str, bool]]
) -> None:
    table: Table[Row] = Table()
    twin: Table[Row] = Table()
    for steps, tables in ((first, (table, twin)), (tried, (table,))):
        for id_, row, by, last_first in steps:
            for one in tables:
                one.drop(id_) if row is None else one.put(id_, row)
                one.page(by, 0, 5, last_first=last_first)
        if steps is first:
            table.try_out()

    table.undo()

    assert list(table) == list(twin)
    assert all(table.having("name", {name}) == twin.having("name", {name}) for name in "xyz")
    assert dict(table.drain()) == dict(twin.drain())
