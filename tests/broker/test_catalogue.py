"""What the three documents let a user do to audiences and contact lists, through the real topics (contracts/behaviours.md).

Each test is a walk through one part of the documents: their numbered behaviours stand beside the test in the table.
"""

from typing import Any

import pytest

from contracts import codes
from contracts.raw_ids import hashed
from tests.broker.space import Space, own_space, rows
from tests.broker.system import System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]


def codes_of(reply: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in reply["errors"]]


async def test_a_segment_of_the_audience_studio(space: Space) -> None:
    """Only a name, the three ids, echoed fields, size 0; files name it by its long id; deleted by its short one."""
    (made,) = await space.send("audiences.create", {"name": "platform", "kind": "list", "id_type": "kuid"})
    ids = made["external_ids"]
    (described,) = await space.send(
        "audiences.create",
        {"name": "b", "id_type": "kuid", "type": "t", "category": "c", "sub_category": "s", "description": "d"},
    )
    await space.feed("f", mode="append", lookback_days=10)

    body = "".join(f"u{n}^{ids['segment_uuid_long']}\n" for n in range(9)) + f"x^{ids['segment_uuid_long']},b\n"
    record = await space.put_and_import("f/1", body.encode())

    assert (record.state, record.counts.valid, record.counts.rejected) == ("applied", 9, 1)
    await space.until("members by the long id", lambda: len(space.members("platform")) == 9)
    assert (made["description"], made["category"], made["expression"]) == (None, None, None)
    assert [described[name] for name in ("type", "category", "sub_category", "description")] == ["t", "c", "s", "d"]
    assert codes_of(await space.ask("audiences.create", {"id_type": "kuid"})) == [codes.FIELD_REQUIRED.code]
    (deleted,) = await space.send("audiences.delete", {"audience": ids["segment_uuid"]})
    assert (deleted["audience_id"], deleted["deleted"]) == (made["audience_id"], True)
    assert codes_of(await space.ask("audiences.delete", {})) == [codes.FIELD_REQUIRED.code]


async def test_segments_combined_by_an_operator_follow_their_parts(space: Space) -> None:
    await space.audiences("a", "b")
    made = await space.send("audiences.get", {"audience": "a"}, {"audience": "b"})
    numbers = [int(one["external_ids"]["id"]) for one in made]
    await space.send(
        "audiences.create",
        {"name": "either", "operator": "OR", "rules": {"segment": numbers}},
        {"name": "both", "operator": "AND", "rules": {"segment": numbers}},
    )
    await space.send("members.add", {"audience": "a", "identifiers": ["1", "2"]})
    await space.send("members.add", {"audience": "b", "identifiers": ["2", "3"]})

    await space.until("either", lambda: space.members("either") == {"1", "2", "3"})
    await space.until("both", lambda: space.members("both") == {"2"})
    wrong = await space.ask(
        "audiences.create",
        {"name": "n", "operator": "OR", "rules": {"segment": [1]}},
        {"name": "n", "operator": "XOR", "rules": {"segment": numbers}},
    )
    assert codes_of(wrong) == [codes.NOT_FOUND.code, codes.EXPRESSION_INVALID.code]

    await space.send("audiences.update", {"audience": "both", "expression": {"audience": "b"}})
    await space.until("exactly the difference", lambda: space.members("both") == {"2", "3"})
    edits = [change for _, change in space.changes if change.cause.kind == "definition"]
    assert [(change.change, change.members) for change in edits] == [("entered", ["3"])]


async def test_good_items_take_effect_beside_bad_ones(space: Space) -> None:
    """Bulk create, update and delete; the code and detail of each failure; the problem object of a refused delete."""
    created = await space.ask(
        "audiences.create",
        {"name": "a", "id_type": "kuid"},
        {"name": " ", "id_type": "kuid"},
        {"name": "a", "id_type": "kuid"},
        {"name": "over", "expression": {"not": {"audience": "a"}}},
        {"name": "events", "kind": "rule"},
    )
    assert created["counts"] == {"items": 5, "applied": 2, "failed": 3}
    assert codes_of(created) == [
        codes.FIELD_INVALID.code, codes.NAME_MUST_BE_UNIQUE.code, codes.NOT_SUPPORTED_YET.code,
    ]  # fmt: skip
    updated = await space.ask(
        "audiences.update",
        {"audience": "a", "name": "renamed", "description": "d"},
        {"audience": "nobody", "name": "n"},
        {"audience": "over", "name": "renamed"},
        {"audience": "renamed", "id_type": "maid"},
        {"audience": "renamed", "version": 7, "description": None},
    )
    assert updated["counts"] == {"items": 5, "applied": 2, "failed": 3}
    assert codes_of(updated) == [
        codes.NOT_FOUND.code, codes.NAME_MUST_BE_UNIQUE.code, codes.FIELD_IMMUTABLE.code,
    ]  # fmt: skip
    assert [one["code"] for one in updated["warnings"]] == [codes.FIELD_READ_ONLY.code]
    assert updated["data"][1]["version"] == 3

    refused = await space.ask("audiences.delete", {"audience": "renamed"}, {"audience": "nobody"})
    problem = refused["errors"][0]
    assert (refused["status"], refused["data"], refused["warnings"]) == ("accepted", [], [])
    assert (problem["code"], problem["type"], problem["instance"]) == (codes.IN_USE.code, "validation", "@data/0")
    assert problem["title"]
    assert problem["detail"]
    assert problem["trace_id"] == refused["trace_id"]
    await space.send("audiences.delete", {"audience": "over"}, {"audience": "renamed"})


async def test_a_contact_list(system: System, space_name: str) -> None:
    """Add, remove and clear with their counts; raw addresses hashed at the door; chunks are one list; adding again."""
    async with own_space(system, space_name) as space:
        await space.send("spaces.update", {"policies": {"raw_identifiers": True}})
        await space.audiences("l", id_type="email_sha256")
        (added,) = await space.send(
            "members.add",
            {"audience": "l", "id_type": "email", "identifiers": ["User@Example.com ", "nobody", "john.sam@mail.com"]},
        )
        assert (added["operation"], added["identifier_type"]) == ("add", "email_sha256")
        assert added["request_date"].endswith("Z")
        assert (added["valid"], added["invalid"], added["sample_invalid"]) == (2, 1, ["nobody"])
        kept = {hashed("email_sha256", one) for one in ("user@example.com", "john.sam@mail.com")}
        await space.until("hashes", lambda: space.members("l") == kept)
        (statistics,) = await space.send("audiences.statistics", {"audience": "l"})
        assert [statistics[name] for name in ("identifiers", "matches", "match_rate")] == [2, None, None]
        (removed,) = await space.send(
            "members.remove", {"audience": "l", "id_type": "email", "identifiers": ["user@example.com", "a@b.example"]}
        )
        assert (removed["operation"], removed["valid"], removed["invalid"]) == ("remove", 2, 0)
        await space.until("one left", lambda: len(space.members("l")) == 1)
        await space.send("members.clear", {"audience": "l"})
        await space.until("nobody", lambda: space.members("l") == set())
        (still,) = await space.send("audiences.get", {"audience": "l"})
        assert (still["name"], still["version"]) == ("l", 1)
        await space.send("members.add", {"audience": "l", "id_type": "email", "identifiers": ["user@example.com"]})
        await space.until("again", lambda: len(space.members("l")) == 1)


async def test_fifty_thousand_identifiers_in_a_command_and_no_more(space: Space) -> None:
    await space.audiences("l")
    identifiers = [f"u{n}" for n in range(50_001)]

    refused = await space.ask("members.add", {"audience": "l", "identifiers": identifiers})
    for at in (0, 20_000, 40_000):  # three chunks are one list
        await space.send("members.add", {"audience": "l", "identifiers": identifiers[at : at + 20_000]})
    exact = await space.ask("members.add", {"audience": "l", "identifiers": identifiers[:50_000]})

    assert (refused["status"], codes_of(refused)) == ("rejected", [codes.COMMAND_TOO_LARGE.code])
    assert (exact["status"], exact["data"][0]["valid"]) == ("accepted", 50_000)
    await space.until("all", lambda: len(space.members("l")) == 50_001)


async def test_search_and_get(space: Space) -> None:
    """Filters AND-ed, values OR-ed, pages; by any id; what uses an audience and the activations of one."""
    await space.audiences("a", "b")
    await space.send("audiences.create", {"name": "c", "expression": {"not": {"audience": "a"}}, "category": "x"})
    await space.send("campaigns.create", {"name": "spring"})
    await space.destination("d", "http://127.0.0.1:9/hook")
    await space.send("activations.create", {"name": "t", "audience": "a", "destination": "d", "campaign_id": "spring"})

    async def found(type_: str, **query: object) -> list[str]:
        (page,) = await space.send(type_, query)
        return [one["name"] for one in page["results"]]

    assert await found("audiences.search", sort="name", kind="list") == ["a", "b"]
    assert await found("audiences.search", sort="-name", kind=["list", "composed"]) == ["c", "b", "a"]
    assert await found("audiences.search", kind="list", category="x") == []
    assert await found("audiences.search", sort="name", offset=1, limit=1) == ["b"]
    assert await found("audiences.search", uses="a") == ["c"]
    assert await found("activations.search", audience="a", campaign="spring") == ["t"]
    (page,) = await space.send("audiences.search", {})
    assert (page["total"], page["offset"], page["limit"]) == (3, 0, 500)
    (got,) = await space.send("audiences.get", {"audience": page["results"][0]["external_ids"]["id"]})
    assert got["audience_id"] == page["results"][0]["audience_id"]
    assert codes_of(await space.ask("activations.get", {"activation": "nobody"})) == [codes.NOT_FOUND.code]
    await space.send("activations.delete", {"activation": "t"})
    assert codes_of(await space.ask("activations.get", {"activation": "t"})) == [codes.NOT_FOUND.code]


async def test_lifecycle_and_quotas(space: Space) -> None:
    await space.send("spaces.update", {"quotas": {"audiences": 2}})
    await space.send("audiences.create", {"name": "a", "id_type": "kuid", "lifecycle_state": "draft"})
    await space.audiences("b")
    assert codes_of(await space.ask("audiences.create", {"name": "c", "id_type": "kuid"})) == [
        codes.QUOTA_EXCEEDED.code
    ]
    for state, refused in (("inactive", True), ("published", False), ("inactive", False), ("draft", True)):
        reply = await space.ask("audiences.update", {"audience": "a", "lifecycle_state": state})
        assert codes_of(reply) == ([codes.LIFECYCLE_REFUSED.code] if refused else [])
    await space.feed("f")
    record = await space.put_and_import("f/1", rows("a", range(3)) + rows("b", range(2)))
    assert (record.counts.valid, record.counts.rejected) == (2, 3)  # an inactive audience takes no rows
    trial = await space.ask("audiences.delete", {"audience": "a"}, validate_only=True)
    assert trial["data"][0]["deleted"] is True
    await space.send("audiences.delete", {"audience": "a", "expected_version": 3})
