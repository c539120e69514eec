"""Who may send what: by the topic, by a signature, and never by what a command says of itself (decision 0023)."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts import catalog, codec, codes
from contracts.access import OPERATOR, PERMISSIONS, permissions_for, signed_bytes
from contracts.codec import Headers
from contracts.codes import Code
from contracts.messages.commands import ITEM_TYPES, NOT_SUPPORTED_YET
from contracts.messages.entities import entity_id
from contracts.messages.published import AuditRecord, Reply
from contracts.messages.steps import TickStep
from tests.unit.domain.control.bench import (
    SPACE,
    START_MS,
    Bench,
    codes_of,
    command,
    config,
    decoded,
    letters,
    replies,
    steps,
    ticked,
)

CRM, OPEN = "crm.commands.v1", "open.commands.v1"
SENDERS = {catalog.COMMANDS: OPERATOR, CRM: "crm", OPEN: None}
KEY, OTHER_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
LIST = {"name": "vip", "kind": "list", "id_type": "kuid"}
TIME = "2026-01-01T00:00:00.000Z"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def bench_with(*permissions: str, **fields: object) -> Bench:
    bench = Bench(configured=config(command_senders=SENDERS)).space()
    bench.made("principals.create", {"name": "crm", "permissions": permissions, "public_keys": [pem(KEY)], **fields})
    return bench


def signed(
    value: bytes, *, key: Ed25519PrivateKey = KEY, principal: str = "crm", signature: str | None = None
) -> Headers:
    text = signature if signature is not None else base64.b64encode(key.sign(signed_bytes(value))).decode()
    return ("usher-principal", principal.encode()), ("usher-signature", text.encode())


def event(type_: str = "audiences.create", item: object = LIST, *, id_: str = "s-1", **attributes: object) -> bytes:
    sent = json.loads(command(type_, [item], id_=id_)) | {"time": TIME} | attributes
    return json.dumps({name: value for name, value in sent.items() if value is not None}).encode()


def ask(bench: Bench, topic: str, value: bytes, headers: Headers = ()) -> Reply:
    outs = bench.handle(bench.record(topic, value, key=SPACE.encode(), headers=headers))
    (reply,) = replies(outs)
    if reply.status == "rejected":
        assert [code for code, _ in letters(outs)] == codes_of(reply)
        assert catalog.AUDIT not in {out.topic for out in outs}
    return reply


def test_every_type_of_command_has_its_permissions() -> None:
    for type_ in {*ITEM_TYPES, *NOT_SUPPORTED_YET}:
        assert permissions_for(type_) <= set(PERMISSIONS)
    assert {type_ for type_ in ITEM_TYPES if not permissions_for(type_)} == {"spaces.create"}


ADD = {"audience": "vip", "identifiers": ["u1"]}


@pytest.mark.parametrize(
    ("permission", "type_", "item", "allowed"),
    [
        ("audiences:manage", "audiences.create", LIST, True),
        ("audiences:manage", "members.add", ADD, False),
        ("audiences:manage", "principals.create", {"name": "x", "permissions": []}, False),
        ("members:manage", "members.add", ADD, True),
        ("members:manage", "audiences.create", LIST, False),
        ("audiences:read", "audiences.create", LIST, False),
        ("destinations:manage", "activations.create", {"name": "x"}, False),
        ("activations:manage", "destinations.create", {"name": "x"}, False),
        ("admin", "audiences.create", LIST, True),
        ("admin", "principals.create", {"name": "x", "permissions": []}, True),
        ("admin", "spaces.update", {"name": "renamed"}, True),
        ("admin", "spaces.create", {}, False),
    ],
)
def test_a_topic_s_principal_may_what_it_was_given(permission: str, type_: str, item: object, *, allowed: bool) -> None:
    reply = ask(bench_with(permission), CRM, event(type_, item))
    assert (codes_of(reply) == [codes.AUTHORIZATION_DENIED.code]) is not allowed
    assert (reply.status == "accepted") is allowed


def test_the_operator_alone_creates_spaces_and_needs_no_principal() -> None:
    bench = Bench(configured=config(command_senders=SENDERS))
    value = command("spaces.create", [{}])
    assert codes_of(ask(bench, CRM, value)) == [codes.AUTHORIZATION_INVALID.code]
    assert codes_of(ask(bench, OPEN, value)) == [codes.AUTHORIZATION_REQUIRED.code]
    assert ask(bench, catalog.COMMANDS, value).status == "accepted"


def test_a_signature_opens_a_topic_that_stands_for_nobody() -> None:
    bench = bench_with("audiences:manage")
    assert codes_of(ask(bench, OPEN, event())) == [codes.AUTHORIZATION_REQUIRED.code]
    value = event()
    assert ask(bench, OPEN, value, signed(value)).status == "accepted"
    denied = event("members.add", ADD, id_="s-2")
    assert codes_of(ask(bench, OPEN, denied, signed(denied))) == [codes.AUTHORIZATION_DENIED.code]


def forged(name: str) -> tuple[bytes, Headers]:
    value = event()
    match name:
        case "another key":
            return value, signed(value, key=OTHER_KEY)
        case "other bytes":
            return event(id_="s-2"), signed(value)
        case "another principal":
            return value, signed(value, principal="marketing")
        case "no principal":
            return value, signed(value)[1:]
        case "no base64":
            return value, signed(value, signature="!")
        case "empty":
            return value, signed(value, signature="")
        case "no space":
            return (other := event(spaceid=None)), signed(other)
        case "no time":
            return (other := event(time=None)), signed(other)
        case "no instant":
            return (other := event(time="yesterday")), signed(other)
        case "long ago":
            return (other := event(time="2025-12-30T23:59:59Z")), signed(other)
        case "yet to come":
            return (other := event(time="2026-01-01T00:05:01Z")), signed(other)
        case _:
            assert name == "binary mode"
            attributes = {"specversion": "1.0", "id": "s", "source": "/s", "type": "audiences.create", "spaceid": SPACE}
            value = json.dumps({"items": [LIST]}).encode()
            return value, (*((f"ce_{one}", text.encode()) for one, text in attributes.items()), *signed(value))


@pytest.mark.parametrize(
    "name",
    [
        "another key", "other bytes", "another principal", "no principal", "no base64", "empty", "no space",
        "no time", "no instant", "long ago", "yet to come", "binary mode",
    ],
)  # fmt: skip
def test_what_is_forged_is_refused_on_every_topic(name: str) -> None:
    for topic in SENDERS:
        bench = bench_with("admin")
        value, headers = forged(name)
        assert codes_of(ask(bench, topic, value, headers)) == [codes.AUTHORIZATION_INVALID.code]


def test_while_keys_rotate_both_sign() -> None:
    bench = bench_with("admin", public_keys=[pem(KEY), pem(OTHER_KEY)])
    for number, key in enumerate((KEY, OTHER_KEY)):
        value = event("spaces.update", {"name": f"n{number}"}, id_=f"s-{number}")
        assert ask(bench, OPEN, value, signed(value, key=key)).status == "accepted"
    bench.send("principals.update", {"principal": "crm", "public_keys": [pem(OTHER_KEY)]})
    value = event("spaces.update", {"name": "n"}, id_="s-9")
    assert codes_of(ask(bench, OPEN, value, signed(value))) == [codes.AUTHORIZATION_INVALID.code]


@pytest.mark.parametrize("change", [("principals.update", {"enabled": False}), ("principals.delete", {})])
def test_who_is_disabled_or_deleted_is_refused_by_both_ways(change: tuple[str, dict[str, object]]) -> None:
    type_, fields = change
    bench = bench_with("admin")
    bench.send(type_, {"principal": "crm", **fields})
    value = event()
    assert codes_of(ask(bench, CRM, value)) == [codes.AUTHORIZATION_INVALID.code]
    assert codes_of(ask(bench, OPEN, value, signed(value))) == [codes.AUTHORIZATION_INVALID.code]


def test_a_signed_command_played_again_has_one_effect_at_any_time() -> None:
    bench = bench_with("audiences:manage")
    value = event()
    first = ask(bench, OPEN, value, signed(value))
    bench.now_ms = START_MS + HOUR_MS
    assert ask(bench, OPEN, value, signed(value)) == first
    bench.now_ms = START_MS + 2 * DAY_MS  # its reply is forgotten by now
    assert codes_of(ask(bench, OPEN, value, signed(value))) == [codes.AUTHORIZATION_INVALID.code]


def test_nor_when_so_many_others_came_that_its_reply_is_forgotten() -> None:
    bench = Bench(configured=config(command_senders=SENDERS, replies_max=5)).space()
    bench.made("principals.create", {"name": "crm", "permissions": ["admin"], "public_keys": [pem(KEY)]})
    value = event()
    assert ask(bench, OPEN, value, signed(value)).status == "accepted"
    bench.send("audiences.delete", {"id": "vip"})
    for number in range(10):
        bench.now_ms += 1000
        bench.send("spaces.update", {"name": f"n{number}"})
    assert codes_of(ask(bench, OPEN, value, signed(value))) == [codes.AUTHORIZATION_INVALID.code]


def test_senders_do_not_meet_in_their_ids() -> None:
    bench = bench_with("audiences:manage")
    ours = ask(bench, catalog.COMMANDS, event())
    theirs = ask(bench, CRM, event(item={**LIST, "name": "other"}))
    assert (ours.status, theirs.status) == ("accepted", "accepted")
    assert ours.data[0]["audience_id"] != theirs.data[0]["audience_id"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"name": "x"}, codes.FIELD_REQUIRED),
        ({"name": "x", "permissions": ["root"]}, codes.FIELD_INVALID),
        ({"name": OPERATOR, "permissions": []}, codes.FIELD_INVALID),
        ({"name": "x", "id": OPERATOR, "permissions": []}, codes.FIELD_INVALID),
        ({"name": "crm", "permissions": []}, codes.NAME_MUST_BE_UNIQUE),
        ({"name": "x", "permissions": [], "public_keys": ["PEM"]}, codes.FIELD_INVALID),
        ({"name": "x", "permissions": [], "public_keys": [pem(X25519PrivateKey.generate())]}, codes.FIELD_INVALID),
        ({"name": "x", "permissions": [], "public_keys": [pem(KEY)] * 3}, codes.FIELD_INVALID),
    ],
)
def test_a_principal_that_can_not_be(item: object, code: Code) -> None:
    assert codes_of(bench_with("admin").send("principals.create", item)) == [code.code]


def test_principals_survive_a_restart() -> None:
    bench = bench_with("audiences:manage").restart()
    value = event()
    assert ask(bench, OPEN, value, signed(value)).status == "accepted"


def audited(bench: Bench) -> list[AuditRecord]:
    return [decoded(out, AuditRecord) for out in bench.outs if out.topic == catalog.AUDIT]


def test_every_accepted_change_has_its_record() -> None:
    bench = bench_with("audiences:manage", "members:manage")
    ask(bench, CRM, event(id_="s-1"))
    ask(bench, CRM, event("audiences.update", {"audience": "vip", "name": "vips"}, id_="s-2"))
    ask(bench, CRM, event("members.add", {"audience": "vips", "identifiers": ["u1", "u2"]}, id_="s-3"))
    ask(bench, CRM, event("audiences.delete", {"audience": "vips"}, id_="s-4"))
    principal = next(one for one in audited(bench) if one.kind == "principal")
    ours = [one for one in audited(bench) if one.principal == principal.id]

    assert [(one.command_id, one.command_type, one.kind) for one in ours] == [
        ("s-1", "audiences.create", "audience"),
        ("s-2", "audiences.update", "audience"),
        ("s-3", "members.add", "members"),
        ("s-4", "audiences.delete", "audience"),
    ]
    created, renamed, added, deleted = ours
    assert len({one.id for one in ours}) == 1
    assert created.before is None
    assert renamed.before == created.after
    assert (renamed.before or {}).get("name") == "vip"
    assert (renamed.after or {}).get("name") == "vips"
    assert deleted.before == renamed.after
    assert deleted.after is None
    assert "u1" not in json.dumps(added.after)
    assert (added.after or {}).keys() >= {"import_id", "counts"}


def test_what_stands_in_the_catalogue_says_who_made_it_and_who_changed_it() -> None:
    bench = bench_with("audiences:manage")
    (principal,) = (one for one in bench.catalogue.values() if one.name == "crm")
    bench.made("audiences.create", {"name": "theirs", "id_type": "kuid"})
    ask(bench, CRM, event())
    bench.made("audiences.update", {"audience": "vip", "description": "d"})
    ask(bench, CRM, event("audiences.update", {"audience": "theirs", "created_by": "me"}, id_="s-2"))

    made = {one.name: (one.created_by, one.updated_by) for one in bench.catalogue.values()}

    assert made["theirs"] == made["vip"][::-1] == (OPERATOR, entity_id(principal))
    assert {made["crm"], made[SPACE]} == {(OPERATOR, OPERATOR)}


def test_what_changes_nothing_leaves_no_record() -> None:
    bench = bench_with("audiences:manage")
    before = len(audited(bench))
    value = event()
    ask(bench, CRM, json.dumps(json.loads(value) | {"data": {"items": [LIST], "validate_only": True}}).encode())
    ask(bench, CRM, event(item={"kind": "list"}, id_="s-2"))
    assert len(audited(bench)) == before
    ask(bench, CRM, event(id_="s-3"))
    ask(bench, CRM, event(id_="s-3"))
    assert len(audited(bench)) == before + 1


def test_a_reply_goes_where_those_of_the_command_s_topic_go() -> None:
    """Also one that waits for the clock, one to a repeat, and one that says no."""
    bench = Bench(configured=config(command_senders=SENDERS, reply_topics={CRM: "crm.replies.v1"})).space()
    bench.made("principals.create", {"name": "crm", "permissions": ["admin"]})

    def answered(topic: str, *values: bytes) -> list[str]:
        outs = bench.handle(*(bench.record(topic, value, key=SPACE.encode()) for value in values))
        waiting = [one for one in steps(outs) if isinstance(one, TickStep)]
        outs += bench.result(*ticked(waiting[-1])) if waiting else []
        return [out.topic for out in outs if codec.header(out.headers, "ce_correlationid") is not None]

    assert answered(CRM, event(), event(), event(type_="audiences.dance")) == ["crm.replies.v1"] * 3
    assert answered(CRM, event("audiences.get", {"audience": "vip"}, id_="s-2")) == ["crm.replies.v1"]
    assert answered(CRM, event("clock.advance", {"to": "2026-01-02"}, id_="s-3")) == ["crm.replies.v1"]
    assert answered(catalog.COMMANDS, event(id_="s-4")) == [catalog.REPLIES]
