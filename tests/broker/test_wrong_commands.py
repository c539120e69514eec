"""Every wrong command, as any client may write it to the topic: a declared code, a reply, a dead letter, no block.

Malformed, unknown, oversized, by who may not, replayed, racing: a walk for each, and good commands beside all of them.
"""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts import catalog, codec, codes
from contracts.access import PRINCIPAL_HEADER, SIGNATURE_HEADER, signed_bytes
from contracts.codec import Headers
from contracts.codes import Code
from contracts.instants import instant_text, parse_instant
from contracts.records import Out, Record
from services.domain.control.command import COMMAND_BYTES_MAX
from tests.broker.space import Space, builtins, named, own_space
from tests.broker.system import System
from tests.unit.adapters.kafka.foreign import BAD, builder

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

OPEN = "open.commands.v1"
KEY, OTHER_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
NOW = instant_text(int(time.time() * 1000))
ADD: dict[str, Any] = {"audience": "a", "identifiers": ["good"]}


@dataclass(frozen=True)
class Wrong:
    """One record of the commands topic, of which nothing is understood."""

    name: str
    value: bytes | None
    code: Code
    key: bytes | None = b"SPACE"
    topic: str = catalog.COMMANDS
    signer: str | None = None  # a principal whose key `KEY` signs, `forged`: that says to be `crm`
    answered: bool = True  # a command that names no space has nowhere to be answered


def command(**fields: object) -> bytes:
    """A good command but for `fields`; None takes one away. SPACE stands for the test's space, ID for any other id."""
    good = {"specversion": "1.0", "id": "ID", "source": "/t", "type": "members.add", "spaceid": "SPACE",
            "data": {"items": [ADD]}}  # fmt: skip
    return json.dumps({name: value for name, value in (good | fields).items() if value is not None}).encode()


def with_identifiers(count: int) -> bytes:
    return command(data={"items": [{"audience": "a", "identifiers": [f"u{n}" for n in range(count)]}]})


WRONG = [
    Wrong("not JSON", b"{", codes.COMMAND_NOT_JSON),
    Wrong("NaN", command()[:-1] + b',"x":NaN}', codes.COMMAND_NOT_JSON),
    Wrong("100,000 levels deep", b"[" * 100_000, codes.COMMAND_NOT_JSON),
    Wrong("a tombstone", None, codes.NOT_A_CLOUDEVENT),
    Wrong("no event", b"[]", codes.NOT_A_CLOUDEVENT),
    Wrong("of another version", command(specversion="2.0"), codes.NOT_A_CLOUDEVENT),
    Wrong("without id", command(id=None), codes.COMMAND_ID_MISSING),
    Wrong("a number of 70 bits as id", command(id=1 << 70), codes.NOT_A_CLOUDEVENT),
    Wrong("of an unknown type", command(type="members.multiply"), codes.COMMAND_TYPE_UNKNOWN),
    Wrong("a key twice", command().replace(b'"audience": "a"', b'"audience": "a", "audience": "b"'),
          codes.DUPLICATE_JSON_KEY),
    Wrong("items of a wrong type", command(data={"items": 7}), codes.COMMAND_INVALID),
    Wrong("no items", command(data={"items": []}), codes.COMMAND_INVALID),
    Wrong("50,001 identifiers", with_identifiers(50_001), codes.COMMAND_TOO_LARGE),
    Wrong("10,001 items", command(data={"items": [{}] * 10_001}), codes.COMMAND_TOO_LARGE),
    Wrong("21 searches", command(type="audiences.search", data={"items": [{}] * 21}), codes.COMMAND_TOO_LARGE),
    Wrong("more bytes than fit twice", command(source="x" * COMMAND_BYTES_MAX), codes.COMMAND_TOO_LARGE),
    Wrong("a source of 257 characters", command(source="x" * 257), codes.COMMAND_INVALID),
    Wrong("nobody by this topic", command(), codes.AUTHORIZATION_REQUIRED, topic=OPEN),
    Wrong("by who may read only", command(), codes.AUTHORIZATION_DENIED, topic="crm.commands.v1"),
    Wrong("by a stranger", command(), codes.AUTHORIZATION_INVALID, topic=OPEN, signer="stranger"),
    Wrong("by another's key", command(time=NOW), codes.AUTHORIZATION_INVALID, topic=OPEN, signer="forged"),
    Wrong("signed long ago", command(time="2020-01-01T00:00:00Z"), codes.AUTHORIZATION_INVALID, topic=OPEN, signer="crm"),
    Wrong("signed for later", command(time="2100-01-01T00:00:00Z"), codes.AUTHORIZATION_INVALID, topic=OPEN, signer="crm"),
    Wrong("signed without a time", command(), codes.AUTHORIZATION_INVALID, topic=OPEN, signer="crm"),
    Wrong("an unknown space", command(spaceid="nowhere"), codes.SPACE_UNKNOWN, key=b"nowhere"),
    Wrong("key and space in contradiction", command(spaceid="elsewhere"), codes.SPACE_MISMATCH),
    Wrong("a key that is no text", command(), codes.SPACE_MISMATCH, key=b"\xff\xfe"),
    Wrong("no space at all", command(spaceid=None), codes.COMMAND_INVALID, key=None, answered=False),
]  # fmt: skip


async def test_what_is_understood_in_nothing(space: Space, system: System) -> None:
    """All at once, with good commands before, between and after them, to whatever partition."""
    await space.audiences("a")
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    await space.send("principals.create", {"name": "crm", "permissions": ["audiences:read"], "public_keys": [pem]})
    await space.catch_up()
    answers = len(space.replies)

    producer = await system.log.producer()
    for at, one in enumerate(WRONG):
        value = None
        if one.value is not None:
            value = one.value.replace(b"SPACE", space.name.encode()).replace(b'"ID"', b'"wrong-%d"' % at)
        key = space.name.encode() if one.key == b"SPACE" else one.key
        good = command(id=f"good-{at}", data={"items": [{"audience": "a", "identifiers": [f"u{at:06d}"]}]})
        neighbour = good.replace(b"SPACE", space.name.encode())
        await producer.send(
            [
                Out(one.topic, key, value, signed(one, value), at % 2),
                Out(catalog.COMMANDS, space.name.encode(), neighbour, (), at % 2),
            ]
        )
    await producer.close()

    await space.until("all are kept", lambda: len(space.letters) == len(WRONG))
    assert sorted(space.letter_codes()) == sorted(one.code.code for one in WRONG)
    wanted = len(WRONG) + sum(one.answered for one in WRONG)
    await space.until("all are answered", lambda: len(space.replies) == answers + wanted)
    rejected = [code for reply in space.replies for code in rejection(reply)]
    assert sorted(rejected) == sorted(one.code.code for one in WRONG if one.answered)
    await space.until("good ones took effect", lambda: space.members("a") == named(range(len(WRONG))))


async def test_a_header_with_a_name_that_is_no_text_stops_nobody(space: Space, system: System) -> None:
    """Our own client can't write one; the broker takes it from others, alone or in the midst of a batch."""
    await space.audiences("a")
    events = [
        command(id=f"c-{at}", data={"items": [{"audience": "a", "identifiers": [f"u{at:06d}"]}]}) for at in range(4)
    ]
    values = [one.replace(b"SPACE", space.name.encode()) for one in events]
    producer = AIOKafkaProducer(bootstrap_servers=system.environment["USHER_KAFKA_BOOTSTRAP_SERVERS"])
    await producer.start()
    for names in ([b"good", BAD], [BAD, BAD]):
        batch = producer.create_batch()
        batch._builder = builder([(values.pop(), [(name, b"")]) for name in names])
        batch._relative_offset = len(names)
        topic = f"{system.environment['USHER_TOPIC_PREFIX']}.{catalog.COMMANDS}"
        await (await producer.send_batch(batch, topic, partition=0))
    await producer.stop()
    await space.until("all took effect", lambda: space.members("a") == named(range(4)))


async def test_the_same_again_changes_nothing_and_other_bytes_are_rejected(space: Space) -> None:
    await space.audiences("a")
    same: dict[str, object] = {"id": "c-1", "type": "members.add", "data": {"items": [ADD]}}
    other = same | {"data": {"items": [{"audience": "a", "identifiers": ["other"]}]}}
    replies = []
    for event in (same, same, other):
        await space.client.publish_event(space.name, event)
        replies.append(builtins(await space.client.reply("c-1")))

    first, again, reused = replies
    assert first == again
    assert first["status"] == "accepted"
    assert (reused["status"], codes_of(reused)) == ("rejected", [codes.IDEMPOTENCY_KEY_REUSED.code])
    await space.until("it took effect", lambda: space.members("a") == {"good"})
    assert len(space.observed.imports) == 1


async def test_a_bad_item_among_good_ones(space: Space) -> None:
    await space.audiences("a", "b")
    await space.send("audiences.delete", {"audience": "b"})

    reply = await space.ask(
        "members.add",
        ADD,
        {"audience": "nobody", "identifiers": ["x"]},
        {"audience": "b", "identifiers": ["x"]},
        {"audience": "a", "identifiers": ["x"], "id_type": "maid"},
        {"audience": "a", "identifiers": 7},
        {"audience": "a", "identifiers": ["good too"], "colour": "green"},
    )

    assert reply["status"] == "accepted"
    assert reply["counts"] == {"items": 6, "applied": 2, "failed": 4}
    failed = {problem["item"]: problem["code"] for problem in reply["errors"]}
    assert failed == {
        1: codes.NOT_FOUND.code,
        2: codes.NOT_FOUND.code,
        3: codes.ID_TYPE_MISMATCH.code,
        4: codes.FIELD_INVALID.code,
    }
    assert [problem["code"] for problem in reply["warnings"]] == [codes.UNKNOWN_FIELD.code]
    await space.until("the good ones took effect", lambda: space.members("a") == {"good", "good too"})


@pytest.mark.parametrize(
    ("type_", "item", "code"),
    [
        ("feeds.create", {"name": "f", "source": {"kind": "s3", "prefix": "p/"}, "mode": "append", "id_type": "kuid",
                          "format": "caret"}, codes.LOOKBACK_REQUIRED),
        ("audiences.create", {"name": "a", "kind": "list", "id_type": "kuid"}, codes.NAME_MUST_BE_UNIQUE),
        ("audiences.delete", {"audience": "gone"}, codes.NOT_FOUND),
        ("audiences.update", {"audience": "gone", "description": "x"}, codes.NOT_FOUND),
        ("members.add", {"audience": "gone", "identifiers": ["x"]}, codes.NOT_FOUND),
        ("spaces.create", {"name": "again"}, codes.SPACE_EXISTS),
        ("clock.advance", {"to": "2030-01-01"}, codes.CLOCK_NOT_MANUAL),
        ("audiences.update", {"audience": "a", "description": "x" * (2 << 20)}, codes.FIELD_INVALID),
    ],
    ids=["append without lookback", "create twice", "delete twice", "update of what is gone", "members of what is gone",
         "a space twice", "a clock that is not manual", "a text of 2 MB"],
)  # fmt: skip
async def test_items_that_fail(space: Space, type_: str, item: dict[str, Any], code: Code) -> None:
    await space.audiences("a", "gone")
    await space.send("audiences.delete", {"audience": "gone"})

    reply = await space.ask(type_, item)

    assert (reply["status"], codes_of(reply)) == ("accepted", [code.code])
    assert space.observed.imports == {}


async def test_a_clock_is_not_set_back(system: System, space_name: str) -> None:
    async with own_space(system, space_name, clock="manual", time="2026-01-10") as space:
        await space.send("clock.advance", {"to": "2026-01-20"})

        reply = await space.ask("clock.advance", {"to": "2026-01-15"})

        assert codes_of(reply) == [codes.CLOCK_BACKWARDS.code]
        await space.catch_up()
        assert space.observed.time_ms == parse_instant("2026-01-20")


async def test_creations_deletions_and_rows_in_a_race_leave_no_orphans(space: Space) -> None:
    """Deleted while rows and commands for it are under way: all is answered, nobody is left a member of nothing."""
    await space.feed("f", mode="append", lookback_days=10)
    for number in range(5):
        await space.audiences(f"a{number}")
        body = "".join(f"u{n}^a{number}\n" for n in range(200)).encode()
        key = await space.put(f"f/{number}", body)
        ids = [
            await space.client.publish(space.name, type_, {"items": [item]})
            for type_, item in [
                ("members.add", {"audience": f"a{number}", "identifiers": ["x"]}),
                ("audiences.delete", {"audience": f"a{number}"}),
                ("members.add", {"audience": f"a{number}", "identifiers": ["y"]}),
            ]
        ]
        replies = [builtins(await space.client.reply(one)) for one in ids]
        assert [codes_of(reply) for reply in replies] == [[], [], [codes.NOT_FOUND.code]]
        assert (await space.ended(key)).state == "applied"

    await space.catch_up()
    assert [members for members in space.observed.members.values() if members] == []


async def test_of_two_who_have_seen_the_same_version_one_is_told(space: Space) -> None:
    await space.audiences("a")
    items = [{"audience": "a", "description": word, "expected_version": 1} for word in ("one", "other")]
    ids = [await space.client.publish(space.name, "audiences.update", {"items": [item]}) for item in items]

    replies = [builtins(await space.client.reply(id_)) for id_ in ids]

    assert sorted(codes_of(reply) for reply in replies) == [[], [codes.VERSION_CONFLICT.code]]
    (found,) = await space.send("audiences.get", {"audience": "a"})
    assert found["version"] == 2


def signed(one: Wrong, value: bytes | None) -> Headers:
    """The headers that name a sender, where there is one."""
    if one.signer is None or value is None:
        return ()
    name, key = ("crm", OTHER_KEY) if one.signer == "forged" else (one.signer, KEY)
    signature = base64.b64encode(key.sign(signed_bytes(value)))
    return ((PRINCIPAL_HEADER, name.encode()), (SIGNATURE_HEADER, signature))


def rejection(record: Record) -> list[str]:
    reply = codec.decode(record.value or b"", dict[str, Any])
    return codes_of(reply) if reply["status"] == "rejected" else []


def codes_of(reply: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in reply["errors"]]
