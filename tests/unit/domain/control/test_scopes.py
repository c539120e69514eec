"""A principal that sees only audiences of its owners and folders: to it there are no others (decision 0030)."""

from typing import Any

import pytest

from contracts import catalog, codes
from contracts.access import OPERATOR, is_of_audiences
from contracts.messages.commands import ITEM_TYPES
from contracts.messages.published import Reply
from tests.unit.domain.control.bench import SPACE, Bench, codes_of, command, config, replies

CRM = "crm.commands.v1"
SENDERS = {catalog.COMMANDS: OPERATOR, CRM: "crm"}
LIST = {"kind": "list", "id_type": "kuid"}
WEBHOOK = {"connector": "webhook", "settings": {"url": "https://a.example/"}}


def shared(**scope: object) -> Bench:
    """A space of two owners and two folders, with an activation of each owner, and a principal of that scope."""
    bench = Bench(configured=config(command_senders=SENDERS)).space()
    bench.made("principals.create", {"name": "crm", "permissions": ["admin"], **scope})
    bench.made(
        "audiences.create",
        {"name": "mine", "owner_id": "me", "folder_id": "spring", **LIST},
        {"name": "old", "owner_id": "me", "folder_id": "autumn", **LIST},
        {"name": "theirs", "owner_id": "they", "folder_id": "spring", **LIST},
        {"name": "nobody's", **LIST},
    )
    bench.made("destinations.create", {"name": "hook", **WEBHOOK})
    bench.made(
        "activations.create",
        *({"name": f"of {one}", "audience": one, "destination": "hook"} for one in ("mine", "theirs")),
    )
    return bench


def ask(bench: Bench, type_: str, *items: object) -> Reply:
    """As the principal, by its topic."""
    value = command(type_, list(items), id_=f"s-{next(bench.numbers)}")
    (reply,) = replies(bench.handle(bench.record(CRM, value, key=SPACE.encode())))
    return reply


def found(bench: Bench, kind: str, **query: object) -> list[str]:
    (page,) = ask(bench, f"{kind}.search", {"sort": "name", **query}).data
    results: Any = page["results"]
    assert page["total"] == len(results)
    return [one["name"] for one in results]


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        ({}, ["mine", "nobody's", "old", "theirs"]),
        ({"owner_ids": ["me"]}, ["mine", "old"]),
        ({"folder_ids": ["spring"]}, ["mine", "theirs"]),
        ({"owner_ids": ["me", "they"], "folder_ids": ["spring"]}, ["mine", "theirs"]),
        ({"owner_ids": ["me"], "folder_ids": ["spring"]}, ["mine"]),
        ({"owner_ids": ["nobody"]}, []),
    ],
)
def test_it_finds_what_is_in_its_scope(scope: dict[str, object], seen: list[str]) -> None:
    bench = shared(**scope)

    assert found(bench, "audiences") == seen
    assert found(bench, "audiences", name=["mine", "theirs"]) == [one for one in ("mine", "theirs") if one in seen]
    assert found(bench, "activations") == [f"of {one}" for one in ("mine", "theirs") if one in seen]
    for name in ("mine", "old", "theirs", "nobody's"):
        reply = ask(bench, "audiences.get", {"audience": name})
        assert codes_of(reply) == ([] if name in seen else [codes.NOT_FOUND.code])


OUTSIDE: list[tuple[str, dict[str, object], codes.Code]] = [
    ("audiences.update", {"audience": "theirs", "description": "d"}, codes.NOT_FOUND),
    ("audiences.delete", {"audience": "theirs"}, codes.NOT_FOUND),
    ("audiences.snapshot", {"audience": "theirs"}, codes.NOT_FOUND),
    ("audiences.create", {"name": "n", "owner_id": "me", "expression": {"not": {"audience": "theirs"}}}, codes.NOT_FOUND),
    ("audiences.create", {"name": "n", "owner_id": "they", **LIST}, codes.AUTHORIZATION_DENIED),
    ("audiences.create", {"name": "n", **LIST}, codes.AUTHORIZATION_DENIED),
    ("audiences.create", {"name": "theirs", "owner_id": "me", "folder_id": "spring", **LIST}, codes.NAME_MUST_BE_UNIQUE),
    ("audiences.update", {"audience": "mine", "folder_id": "autumn"}, codes.AUTHORIZATION_DENIED),
    ("members.add", {"audience": "theirs", "identifiers": ["u1"]}, codes.NOT_FOUND),
    ("connections.create", {"audience": "theirs", "destination": "hook"}, codes.NOT_FOUND),
    ("activations.create", {"name": "n", "audience": "theirs", "destination": "hook"}, codes.NOT_FOUND),
    ("activations.pause", {"activation": "of theirs"}, codes.NOT_FOUND),
    ("activations.get", {"activation": "of theirs"}, codes.NOT_FOUND),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "item", "code"), OUTSIDE)
def test_what_is_outside_is_not_there(type_: str, item: dict[str, object], code: codes.Code) -> None:
    bench = shared(owner_ids=["me"], folder_ids=["spring"])
    before = dict(bench.catalogue)

    assert codes_of(ask(bench, type_, item)) == [code.code]
    assert bench.catalogue == before
    as_the_operator = codes_of(bench.send(type_, item))
    assert codes.NAME_MUST_BE_UNIQUE is code or code.code not in as_the_operator


def test_within_it_may_what_it_may() -> None:
    bench = shared(owner_ids=["me"], folder_ids=["spring"])
    new = {"name": "n", "owner_id": "me", "folder_id": "spring", **LIST}
    for type_, item in (
        ("audiences.create", new),
        ("audiences.create", {**new, "name": "m", "id_type": "kuid"}),
        ("members.add", {"audience": "n", "identifiers": ["u1"]}),
        ("activations.create", {"name": "x", "audience": "n", "destination": "hook"}),
    ):
        assert codes_of(ask(bench, type_, item)) == []
    (hook,) = ask(bench, "destinations.get", {"destination": "hook"}).data
    (whole,) = bench.send("destinations.get", {"destination": "hook"}).data
    used_by, all_users = hook["used_by"], whole["used_by"]
    assert isinstance(used_by, list)
    assert isinstance(all_users, list)
    assert (len(used_by), len(all_users)) == (4, 6)  # a connection and an activation of each audience


def test_of_what_is_nobodys_it_only_reads() -> None:
    bench = shared(owner_ids=["me"])
    allowed = {type_ for type_ in ITEM_TYPES if is_of_audiences(type_)}
    for type_ in sorted(ITEM_TYPES):
        reply = ask(bench, type_, {})
        denied = (reply.status, codes_of(reply)) == ("rejected", [codes.AUTHORIZATION_DENIED.code])
        assert denied is (type_ not in allowed), type_
    others = {type_.partition(".")[0] for type_ in ITEM_TYPES if type_ not in allowed}
    assert others == {"spaces", "clock", "feeds", "imports", "destinations", "campaigns", "principals"}


def test_a_trial_forgets_the_scope_too() -> None:
    bench = shared(owner_ids=["me"])
    value = command("audiences.update", [{"audience": "theirs"}], id_="trial", validate_only=True)
    (reply,) = replies(bench.handle(bench.record(CRM, value, key=SPACE.encode())))
    assert codes_of(reply) == [codes.NOT_FOUND.code]
    assert bench.send("audiences.get", {"audience": "theirs"}).errors == []
