"""Search and get: filters AND-ed, values OR-ed, stable pages, any reference, and nothing changed by looking."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import catalog, codes
from contracts.codes import Code
from tests.unit.domain.control.bench import Bench, codes_of, replies

LIST = {"kind": "list", "id_type": "kuid"}


@pytest.fixture(scope="module")
def world() -> Bench:
    """A space with a few of everything; tests only look."""
    bench = Bench().space(name="shop")
    bench.made(
        "audiences.create",
        {"id": "a1", "name": "one", "labels": ["x", "y"], "category": "c", "owner_id": "r1", **LIST},
        {"id": "a2", "name": "two", "labels": ["y"], "external_ids": {"crm": "77"}, "owner_id": "r1", **LIST},
        {"id": "a3", "name": "three", "category": "c", "kind": "list", "id_type": "maid", "enabled": False},
        {"id": "b1", "name": "both", "expression": {"and": [{"audience": "a1"}, {"audience": "a2"}]}},
        {"id": "b2", "name": "not both", "expression": {"not": {"audience": "b1"}}},
    )
    feed = {"mode": "replace", "id_type": "kuid", "format": "caret"}
    bench.made(
        "feeds.create",
        {"id": "f1", "name": "f", **feed, "source": {"kind": "s3", "prefix": "f/"}},
        {
            "id": "f2",
            "name": "g",
            **feed,
            "source": {"kind": "s3", "prefix": "g/"},
            "audience_from": {"audience": "a1"},
        },
    )
    for name in ("d1", "d2"):
        bench.made("destinations.create", {"id": name, "name": name, "connector": "webhook", "settings": {"url": name}})
    bench.made("campaigns.create", {"id": "c1", "name": "spring"})
    bench.made(
        "activations.create",
        {"id": "t1", "name": "t1", "audience": "a1", "destination": "d1", "campaign_id": "spring", "country": "31"},
        {"id": "t2", "name": "t2", "audience": "a1", "destination": "d2"},
        {"id": "t3", "name": "t3", "audience": "a2", "destination": "d2", "enabled": False},
    )
    return bench


def found(bench: Bench, type_: str, **item: object) -> list[str]:
    """The ids of what a search finds, in its order."""
    (data,) = bench.send(type_, item).data
    kind = type_.partition("s.")[0]
    results: Any = data["results"]
    return [one[f"{kind}_id"] for one in results]


@pytest.mark.parametrize(
    ("type_", "item", "ids"),
    [
        ("audiences.search", {}, "a1 a2 a3 b1 b2"),
        ("audiences.search", {"kind": "list"}, "a1 a2 a3"),
        ("audiences.search", {"kind": ["list", "composed"], "category": "c"}, "a1 a3"),
        ("audiences.search", {"kind": "composed", "category": "c"}, ""),
        ("audiences.search", {"labels": ["x"]}, "a1"),
        ("audiences.search", {"labels": ["x", "y"]}, "a1 a2"),
        ("audiences.search", {"id_type": "maid", "enabled": False}, "a3"),
        ("audiences.search", {"owner_id": "r1", "lifecycle_state": "published"}, "a1 a2 b1 b2"),
        ("audiences.search", {"name": ["two", "one", "nobody"]}, "a1 a2"),
        ("audiences.search", {"id": ["two", "77", "a1"]}, "a1 a2"),
        ("audiences.search", {"audience_id": "a1", "id": "a2"}, ""),
        ("audiences.search", {"external_id": "77"}, "a2"),
        ("audiences.search", {"uses": "two"}, "b1"),
        ("audiences.search", {"uses": ["a1", "b1"]}, "b1 b2"),
        ("audiences.search", {"uses": "nobody"}, ""),
        ("audiences.search", {"sort": "name"}, "b1 b2 a1 a3 a2"),
        ("audiences.search", {"sort": "-name", "kind": "list"}, "a2 a3 a1"),
        ("audiences.search", {"sort": "-id", "name": ["one", "two"]}, "a2 a1"),
        ("audiences.search", {"sort": "name", "offset": 1, "limit": 2}, "b2 a1"),
        ("audiences.search", {"offset": 4, "limit": 2}, "b2"),
        ("audiences.search", {"offset": 9}, ""),
        ("audiences.search", {"offset": 2**64}, ""),
        ("feeds.search", {"mode": "replace"}, "f1 f2"),
        ("feeds.search", {"audience": "one"}, "f2"),
        ("destinations.search", {"connector": "webhook", "name": "d2"}, "d2"),
        ("connections.search", {"audience": "a2", "destination": "d1"}, ""),
        ("activations.search", {"audience": "one"}, "t1 t2"),
        ("activations.search", {"audience": "one", "destination": "d2"}, "t2"),
        ("activations.search", {"audience": ["one", "two"], "enabled": True}, "t1 t2"),
        ("activations.search", {"campaign": "spring"}, "t1"),
        ("activations.search", {"country": "31"}, "t1"),
        ("campaigns.search", {"name": "spring"}, "c1"),
        ("spaces.search", {}, "acme"),
        ("spaces.search", {"name": "shop", "clock": "manual"}, "acme"),
        ("spaces.search", {"id": "other"}, ""),
    ],
)
def test_what_is_found(world: Bench, type_: str, item: dict[str, object], ids: str) -> None:
    assert found(world, type_, **item) == ids.split()


READS: list[tuple[str, object, Code]] = [
    ("audiences.search", {"limit": 501}, codes.FIELD_INVALID),
    ("audiences.search", {"limit": 0}, codes.FIELD_INVALID),
    ("audiences.search", {"offset": -1}, codes.FIELD_INVALID),
    ("audiences.search", {"sort": "colour"}, codes.FIELD_INVALID),
    ("audiences.search", {"kind": []}, codes.FIELD_INVALID),
    ("audiences.search", {"enabled": "yes"}, codes.FIELD_INVALID),
    ("audiences.get", {}, codes.FIELD_REQUIRED),
    ("audiences.get", {"audience": "nobody"}, codes.NOT_FOUND),
    ("audiences.get", {"audience": "a9"}, codes.NOT_FOUND),
    ("audiences.get", {"audience": "a1", "expected_version": 7}, codes.VERSION_CONFLICT),
    ("spaces.get", {"space": "other"}, codes.SPACE_MISMATCH),
    ("imports.get", {}, codes.FIELD_REQUIRED),
    ("imports.get", {"import": "imp"}, codes.NOT_FOUND),
]


@pytest.mark.parametrize(("type_", "item", "code"), READS)
def test_a_bad_read_fails_with_its_code(world: Bench, type_: str, item: object, code: Code) -> None:
    assert codes_of(world.send(type_, item)) == [code.code]


@pytest.mark.parametrize("type_", ["audiences.search", "imports.search", "spaces.search"])
def test_a_misspelt_filter_finds_nothing_rather_than_everything(world: Bench, type_: str) -> None:
    reply = world.send(type_, {"nmae": "one", "limit": 7})

    assert reply.data == [{"item": 0, "total": 0, "offset": 0, "limit": 7, "results": []}]
    (warning,) = reply.warnings
    assert (warning.code, warning.detail) == (
        codes.UNKNOWN_FIELD.code, "no such filter, so nothing matches: 'nmae'",
    )  # fmt: skip


def test_a_page_says_how_many_there_are_and_where_it_stands(world: Bench) -> None:
    (default,) = world.send("audiences.search", {"kind": "list"}).data
    (second,) = world.send("audiences.search", {"kind": "list", "offset": 1, "limit": 1}).data

    assert (default["total"], default["offset"], default["limit"]) == (3, 0, 500)
    assert (second["total"], second["offset"], second["limit"]) == (3, 1, 1)


@given(limit=st.integers(1, 6), sort=st.sampled_from(["id", "-id", "name", "-name", "created_at", "-updated_at"]))
def test_pages_one_after_another_are_the_whole(world: Bench, limit: int, sort: str) -> None:
    whole = found(world, "audiences.search", sort=sort)
    pages = [found(world, "audiences.search", sort=sort, offset=at, limit=limit) for at in range(0, 5, limit)]

    assert [one for page in pages for one in page] == whole


def test_the_order_follows_what_changes() -> None:
    bench = Bench().space()
    bench.made("audiences.create", *({"id": f"a{n}", "name": f"n{n}", **LIST} for n in (3, 1, 2)))
    assert found(bench, "audiences.search", sort="name") == ["a1", "a2", "a3"]

    bench.made("audiences.update", {"audience": "a1", "name": "z"})
    bench.made("audiences.delete", {"audience": "a2"})
    bench.made("audiences.create", {"id": "a0", "name": "n9", **LIST})

    assert found(bench, "audiences.search", sort="name") == ["a3", "a0", "a1"]
    assert found(bench, "audiences.search") == ["a0", "a1", "a3"]


@pytest.mark.parametrize("reference", [{"id": "a2"}, {"audience_id": "a2"}, {"audience": "77"}, {"name": "two"}])
def test_get_takes_any_reference(world: Bench, reference: dict[str, str]) -> None:
    (data,) = world.send("audiences.get", reference).data

    assert (data["audience_id"], data["name"], data["version"]) == ("a2", "two", 1)


def test_get_says_what_it_uses_and_what_uses_it(world: Bench) -> None:
    (audience,) = world.send("audiences.get", {"audience": "b1"}).data
    (part,) = world.send("audiences.get", {"audience": "a1"}).data
    (activation,) = world.send("activations.get", {"activation": "t1"}).data

    assert audience["uses"] == [{"kind": "audience", "id": "a1"}, {"kind": "audience", "id": "a2"}]
    assert audience["used_by"] == [{"kind": "audience", "id": "b2"}]
    kinds: Any = part["used_by"]
    assert [one["kind"] for one in kinds] == ["audience", "feed", "connection", "connection"]
    assert {"kind": "campaign", "id": "c1"} in activation["uses"]  # type: ignore[operator]  # JSON


def test_an_import_under_way_is_found() -> None:
    bench = Bench().space()
    bench.made("audiences.create", {"id": "a", "name": "a", **LIST})
    (data,) = bench.send("members.add", {"audience": "a", "identifiers": ["u1"]}).data
    import_id = str(data["import_id"])

    (got,) = bench.send("imports.get", {"import": import_id}).data

    assert (got["import_id"], got["state"]) == (import_id, "staged")
    assert found(bench, "imports.search", audience_id="a", state=["staged", "held"]) == [import_id]
    assert found(bench, "imports.search", mode="replace") == []


def test_looking_changes_nothing_and_is_answered_anew() -> None:
    bench = Bench().space()
    bench.made("audiences.create", {"id": "a", "name": "a", **LIST})
    state = dict(bench.state)

    outs = bench.handle(bench.command("audiences.get", {"audience": "a"}, id_="look"))
    bench.made("audiences.update", {"audience": "a", "name": "b"})
    (again,) = replies(bench.handle(bench.command("audiences.get", {"audience": "a", "id": "a"}, id_="look")))

    assert {out.topic for out in outs} == {catalog.REPLIES, catalog.CONTROL_STATE}  # the counters: against the quota
    assert bench.state.keys() - state.keys() == {key for key in bench.state if "/reply/" in key} - state.keys()
    assert again.data[0]["name"] == "b"
    assert not [entry for entry in bench.state.values() if getattr(entry, "command_id", "") == "look"]


def test_only_so_many_searches_are_one_command() -> None:
    bench = Bench().space()

    assert bench.send("audiences.search", *[{}] * 20).counts.applied == 20
    assert codes_of(bench.send("audiences.search", *[{}] * 21)) == [codes.COMMAND_TOO_LARGE.code]


def test_a_campaign_lives_until_no_activation_names_it() -> None:
    bench = Bench().space()
    (campaign_id,) = bench.made("campaigns.create", {"name": "spring", "description": "d"})
    updated = bench.send("campaigns.update", {"campaign": "spring", "name": "summer", "description": None}).data[0]

    assert (updated["name"], updated["description"], updated["version"]) == ("summer", None, 2)
    assert bench.restart().send("campaigns.get", {"campaign": "summer"}).data[0]["campaign_id"] == campaign_id
    assert bench.send("campaigns.delete", {"campaign": campaign_id}).data[0]["deleted"] is True
    assert codes_of(bench.send("campaigns.get", {"campaign": "summer"})) == [codes.NOT_FOUND.code]
