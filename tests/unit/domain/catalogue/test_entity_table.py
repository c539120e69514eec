"""References resolve in the order id, external id, name; used ids stay used; trying something out changes nothing."""

import pytest

from contracts.messages.entities import Destination
from services.domain.catalogue.entity_table import EntityTable


def destination(id_: str, name: str, **external_ids: str) -> Destination:
    """A destination of which only the naming matters."""
    return Destination(
        space_id="s",
        destination_id=id_,
        name=name,
        external_ids=external_ids,
        created_at="",
        updated_at="",
        connector="c",
        queue="q",
    )


def table(*entities: Destination) -> EntityTable[Destination]:
    """A table in which an entity holds on to its connector."""
    made: EntityTable[Destination] = EntityTable("destination", lambda one: (one.connector,))
    for entity in entities:
        made.put(entity)
    return made


ROWS = [
    ("an id before an external id", "x", [("x", "1", {}), ("b", "2", {"crm": "x"})], "x"),
    ("an id before a name", "x", [("a", "x", {}), ("x", "2", {})], "x"),
    ("an external id before a name", "x", [("a", "x", {}), ("b", "2", {"crm": "x"})], "b"),
    ("a name", "x", [("a", "x", {}), ("b", "2", {"crm": "y"})], "a"),
    ("an external id of one under two names", "x", [("a", "1", {"crm": "x", "erp": "x"})], "a"),
    ("an external id of two refers to neither", "x", [("a", "1", {"crm": "x"}), ("b", "2", {"erp": "x"})], None),
    ("one of two, but somebody's name", "x", [("a", "1", {"crm": "x"}), ("b", "2", {"erp": "x"}), ("c", "x", {})], "c"),
    ("nothing", "x", [("a", "1", {})], None),
    ("the name of an external id is no reference", "crm", [("a", "1", {"crm": "x"})], None),
]


@pytest.mark.parametrize(("reference", "rows", "found"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_references(reference: str, rows: list[tuple[str, str, dict[str, str]]], found: str | None) -> None:
    made = table(*(destination(id_, name, **external_ids) for id_, name, external_ids in rows))

    entity = made.find(reference)

    assert (entity.destination_id if entity else None) == found


def test_a_new_form_frees_what_the_old_one_was_named() -> None:
    made = table(destination("a", "old", crm="x"))

    made.put(destination("a", "new", erp="y"))

    assert (made.find("old"), made.find("x")) == (None, None)
    assert (made.named("new"), made.external("erp", "y"), made.external("crm", "y")) == ("a", "a", None)


def test_what_is_removed_is_found_nowhere_and_its_id_stays_used() -> None:
    made = table(destination("a", "n", crm="x"))

    made.remove("a")

    assert [made.find(one) for one in ("a", "x", "n")] == [None] * 3
    assert (made.holders("c"), len(made), made.is_used("a"), made.is_used("b")) == ([], 0, True, False)


def test_what_was_tried_out_leaves_no_trace() -> None:
    made = table(destination("a", "n", crm="x"), destination("d", "p"))
    list(made.rows.drain())
    made.put(destination("b", "m"))
    made.rows.try_out()
    made.remove("a")
    made.put(destination("b", "o", erp="z"))
    made.put(destination("d", "n"))  # the name that the first one had
    made.put(destination("c", "p"))
    made.remove("c")

    made.undo()

    assert {one: found.destination_id for one in "axnmpoz" if (found := made.find(one))} == {
        "a": "a",
        "x": "a",
        "n": "a",
        "m": "b",
        "p": "d",
    }
    assert made.holders("c") == ["a", "b", "d"]
    assert not made.is_used("c")
    assert [id_ for id_, _ in made.rows.drain()] == ["b"]


def test_changed_rows_are_given_once() -> None:
    made = table(destination("a", "n"))
    made.put(destination("b", "m"))
    made.remove("a")

    assert [(id_, row is None) for id_, row in made.rows.drain()] == [("a", True), ("b", False)]
    assert not list(made.rows.drain())
    made.load(destination("c", "l"))
    assert not list(made.rows.drain())
    assert made.find("l") is not None
