"""What holds for every type of command: a trial changes nothing, and who expects another version is refused.

`GOOD` has an item of each type that takes effect; a new type has to be added before anything here passes.
"""

from collections.abc import Mapping

import msgspec
import pytest

from contracts import catalog, codes
from contracts.messages.commands import ITEM_TYPES
from contracts.messages.entities import Space
from contracts.messages.fields import Versioned
from contracts.messages.published import Reply
from contracts.records import Out
from tests.unit.domain.control.bench import PARTITIONS, Bench, codes_of, replies, requests
from tests.unit.domain.control.importing import announce, finish, staged, weighed

ADD = {"audience": "list", "identifiers": ["u1"]}
FEED = {"mode": "replace", "id_type": "kuid"}
WEBHOOK = {"connector": "webhook", "settings": {"url": "https://a.example/"}}

GOOD: Mapping[str, Mapping[str, object]] = {
    "spaces.create": {"name": "n"},
    "spaces.update": {"name": "n"},
    "spaces.delete": {},
    "spaces.get": {},
    "spaces.search": {},
    "clock.advance": {"to": "2026-02-01"},
    "audiences.create": {"name": "n", "id_type": "kuid"},
    "audiences.update": {"audience": "list", "description": "d"},
    "audiences.delete": {"audience": "unused"},
    "audiences.run": {"audience": "scheduled"},
    "audiences.snapshot": {"audience": "list"},
    "audiences.statistics": {"audience": "list"},
    "audiences.get": {"audience": "list"},
    "audiences.search": {"kind": "list"},
    "feeds.create": {"name": "n", "source": {"kind": "s3", "prefix": "n/"}, **FEED},
    "feeds.update": {"feed": "guarded", "enabled": False},
    "feeds.delete": {"feed": "guarded"},
    "feeds.get": {"feed": "guarded"},
    "feeds.search": {},
    "imports.approve": {"import": "HELD"},
    "imports.reject": {"import": "HELD"},
    "imports.get": {"import": "HELD"},
    "imports.search": {},
    "destinations.create": {"name": "n", **WEBHOOK},
    "destinations.update": {"destination": "hook", "enabled": False},
    "destinations.delete": {"destination": "unused"},
    "destinations.verify": {"destination": "hook"},
    "destinations.get": {"destination": "hook"},
    "destinations.search": {},
    "destinations.supported": {},
    "connections.create": {"audience": "scheduled", "destination": "hook"},
    "connections.update": {"connection": "con", "connection_settings": {"list": 2}},
    "connections.delete": {"connection": "unused"},
    "connections.get": {"connection": "con"},
    "connections.search": {},
    "activations.create": {"name": "n", "connection": "con"},
    "activations.update": {"activation": "act", "end_date": "2026-03-01"},
    "activations.delete": {"activation": "act"},
    "activations.pause": {"activation": "act"},
    "activations.resume": {"activation": "paused"},
    "activations.resync": {"activation": "act"},
    "activations.redrive": {"activation": "act", "identifiers": ["u1"]},
    "activations.get": {"activation": "act"},
    "activations.search": {},
    "campaigns.create": {"name": "n"},
    "campaigns.update": {"campaign": "spring", "description": "d"},
    "campaigns.delete": {"campaign": "spring"},
    "campaigns.get": {"campaign": "spring"},
    "campaigns.search": {},
    "principals.create": {"name": "n", "permissions": []},
    "principals.update": {"principal": "crm", "permissions": []},
    "principals.delete": {"principal": "crm"},
    "principals.get": {"principal": "crm"},
    "principals.search": {},
    "members.add": ADD,
    "members.remove": ADD,
    "members.replace": ADD,
    "members.clear": {"audience": "list"},
}
ANSWERS = {catalog.REPLIES, catalog.CONTROL_STATE}
VERSIONED = [type_ for type_, item in ITEM_TYPES.items() if issubclass(item, Versioned)]
READS = [type_ for type_ in ITEM_TYPES if type_.endswith((".get", ".search", ".supported"))]


def world(command_type: str) -> tuple[Bench, dict[str, object]]:
    """A space with one of everything, or with nothing where only that will do, and a good item."""
    if command_type == "spaces.create":
        return Bench(), dict(GOOD[command_type])
    bench = Bench().space()
    if command_type == "spaces.delete":
        return bench, dict(GOOD[command_type])
    scheduled = {"mode": "scheduled", "at": ["12:00"]}
    bench.made(
        "audiences.create",
        {"id": "aud_l", "name": "list", "id_type": "kuid"},
        {"name": "unused", "id_type": "kuid"},
        {"name": "scheduled", "id_type": "kuid", "evaluation": scheduled},
    )
    source = {"kind": "s3", "prefix": "g/"}
    bench.made("feeds.create", {"id": "feed_full", "name": "guarded", "remove_share_max": 0, "source": source, **FEED})
    bench.made("destinations.create", {"name": "hook", **WEBHOOK}, {"name": "unused", **WEBHOOK})
    bench.made(
        "connections.create",
        {"name": "con", "audience": "list", "destination": "hook"},
        {"name": "unused", "audience": "unused", "destination": "hook"},
    )
    bench.made("connections.delete" if command_type == "audiences.delete" else "connections.get", {"name": "unused"})
    bench.made("activations.create", {"name": "act", "connection": "con"})
    bench.made("activations.create", {"name": "paused", "connection": "con", "paused": True})
    bench.made("campaigns.create", {"name": "spring"})
    bench.made("principals.create", {"name": "crm", "permissions": ["admin"]})
    held = held_import(bench)
    return bench, {name: held if value == "HELD" else value for name, value in GOOD[command_type].items()}


def held_import(bench: Bench) -> str:
    """A full refresh that waits for somebody to decide."""
    (asked,) = requests(announce(bench))
    finish(bench, asked.import_id, audiences=("aud_l",))
    bench.result(*(staged(asked.import_id, partition) for partition in range(PARTITIONS)))
    bench.result(*(weighed(asked.import_id, partition, {"aud_l": (1, 1)}) for partition in range(PARTITIONS)))
    assert bench.imports()[asked.import_id].state == "held"
    return asked.import_id


def sent(
    bench: Bench, command_type: str, item: object, *, validate_only: bool = False
) -> tuple[Reply | None, list[Out]]:
    """The reply, None where it waits for partitions, and all that was written."""
    outs = bench.handle(bench.command(command_type, item, validate_only=validate_only))
    return next(iter(replies(outs)), None), outs


def changes(bench: Bench, before: "Kept") -> set[str]:
    """The kinds of what stands otherwise than before, counters and remembered replies left out."""
    now = Kept.of(bench)
    keys = {
        key
        for one, other in ((now.catalogue, before.catalogue), (now.state, before.state))
        for key in one.keys() | other.keys()
        if one.get(key) != other.get(key)
    }
    return {key.split("/")[1] for key in keys} - {"counters", "reply"}


class Kept(msgspec.Struct):
    """What stood at a time."""

    catalogue: dict[str, object]
    state: dict[str, object]

    @classmethod
    def of(cls, bench: Bench) -> "Kept":
        return cls(dict(bench.catalogue), dict(bench.state))


def test_no_type_is_left_out() -> None:
    assert set(GOOD) == set(ITEM_TYPES)


@pytest.mark.parametrize("command_type", ITEM_TYPES)
def test_a_trial_answers_and_changes_nothing(command_type: str) -> None:
    bench, item = world(command_type)
    before = Kept.of(bench)

    reply, outs = sent(bench, command_type, item, validate_only=True)

    assert reply is not None, "a trial waits for nobody"
    assert codes_of(reply) == []
    assert (reply.counts.applied, reply.warnings) == (1, [])
    assert changes(bench, before) == set()
    assert {out.topic for out in outs} <= ANSWERS
    assert bench.restart().catalogue == before.catalogue
    really, outs = sent(bench, command_type, item)
    assert really is None or codes_of(really) == []
    changed = changes(bench, before) or {out.topic for out in outs} - ANSWERS
    assert bool(changed) is (command_type not in READS)


@pytest.mark.parametrize("command_type", VERSIONED)
def test_who_expects_another_version_is_refused(command_type: str) -> None:
    bench, item = world(command_type)
    before = Kept.of(bench)

    reply, _ = sent(bench, command_type, item | {"expected_version": 7})

    assert reply is not None
    assert codes_of(reply) == [codes.VERSION_CONFLICT.code]
    assert changes(bench, before) == set()


@pytest.mark.parametrize("command_type", [type_ for type_ in VERSIONED if not type_.endswith(".create")])
def test_who_expects_the_present_version_is_not(command_type: str) -> None:
    bench, item = world(command_type)
    assert all(one.version == 1 for one in bench.catalogue.values() if not isinstance(one, Space))

    reply, _ = sent(bench, command_type, item | {"expected_version": 1})

    assert reply is None or codes_of(reply) == []
