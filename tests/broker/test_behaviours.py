"""Behaviours of the three documents that no other walk shows, through the real topics (contracts/behaviours.md)."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from contracts import catalog, codec, codes
from contracts.messages.published import ACTIVATION_STATUS_IDS
from contracts.raw_ids import hashed
from contracts.records import Out
from services.adapters.connect import open_kafka
from services.client import connect, opened
from services.runtime.environment import load_settings
from services.tools.receiver import Receiver
from services.tools.topics import ensure_topics
from tests.broker.space import Space, builtins, own_space, rows
from tests.broker.system import PLAIN_OBJECT_BYTES_MAX, SECRET_REFERENCE, System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def manual(system: System, space_name: str) -> AsyncIterator[Space]:
    """A space whose clock stands at the beginning of 2026."""
    async with own_space(system, space_name, clock="manual", time="2026-01-01") as made:
        yield made


def codes_of(reply: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in reply["errors"]]


async def test_an_activation_says_who_made_it_and_how_it_is(manual: Space, receiver: tuple[Receiver, str]) -> None:
    """Free text, who made and who changed it, the number of each state; a recurring one sends all members again."""
    got, url = receiver
    await manual.audiences("a")
    await manual.send("members.add", {"audience": "a", "identifiers": ["u1", "u2"]})
    await manual.destination("d", url, secrets={"signing": SECRET_REFERENCE})
    await manual.send("principals.create", {"name": "crm", "permissions": ["activations:manage"]})
    numbers: dict[str, int] = {}

    async def shows(state: str) -> None:
        def is_there() -> bool:
            status = manual.observed.activations.get(manual.observed.id_of("activation", "x"))
            numbers.update({} if status is None else {status.state: status.status_id})
            return status is not None and status.state == state

        await manual.until(f"it is {state}", is_there)

    wanted = {"name": "x", "audience": "a", "destination": "d", "description": "for\nspring", "system_generated": True,
              "start_date": "2026-01-02T00:00:00.0000000Z", "recurring": True, "recurring_days": 1}  # fmt: skip
    async with opened(manual.system.log, topic="crm.commands.v1") as crm:
        made = builtins(await crm.call(manual.name, "activations.create", [wanted]))
    assert [one["code"] for one in made["warnings"]] == [codes.FIELD_READ_ONLY.code]
    (data,) = made["data"]
    assert (data["description"], data["system_generated"]) == ("for\nspring", False)
    (person,) = await manual.send("principals.get", {"principal": data["created_by"]})
    assert person["name"] == "crm"
    (changed,) = await manual.send("activations.update", {"activation": "x", "description": None})
    assert changed["description"] is None
    assert (changed["created_by"], changed["updated_by"]) == (data["created_by"], "operator")

    await shows("scheduled")
    await manual.send("clock.advance", {"to": "2026-01-02"})
    await shows("running")
    await manual.until("both are delivered", lambda: manual.delivered("x", changes=2))
    await manual.send("clock.advance", {"to": "2026-01-03"})
    await manual.until("and both again", lambda: manual.delivered("x", changes=4))
    assert got.received.members(data["activation_id"]) == ["u1", "u2"]
    for verb, state in (("pause", "paused"), ("resume", "running")):
        await manual.send(f"activations.{verb}", {"activation": "x"})
        await shows(state)
    for change, state in (({"enabled": False}, "disabled"), ({"enabled": True, "end_date": "2026-01-03"}, "ended")):
        await manual.send("activations.update", {"activation": "x", **change})
        await shows(state)
    assert numbers == {state: ACTIVATION_STATUS_IDS[state] for state in numbers}
    assert len(numbers) == 5


async def test_what_was_delivered_stays_where_the_space_wants_it(space: Space, receiver: tuple[Receiver, str]) -> None:
    _, url = receiver
    await space.send("spaces.update", {"policies": {"delete_delivered": False}})
    await space.audiences("a")
    await space.send("members.add", {"audience": "a", "identifiers": ["u1"]})
    await space.destination("d", url, secrets={"signing": SECRET_REFERENCE})
    await space.send("activations.create", {"name": "x", "audience": "a", "destination": "d"})
    await space.until("it is delivered", lambda: space.delivered("x", changes=1))
    cleared = await space.ask("audiences.update", {"audience": "a", "name": None}, {"audience": "a", "category": None})
    assert (codes_of(cleared), cleared["counts"]["applied"]) == ([codes.FIELD_INVALID.code], 1)
    (activation,) = await space.send("activations.get", {"activation": "x"})
    await space.send("activations.delete", {"activation": "x"})
    await space.send("connections.delete", {"connection": activation["connection_id"]})

    reply = await space.ask("audiences.delete", {"audience": "a"})

    assert (reply["status"], reply["data"], codes_of(reply)) == ("accepted", [], [codes.AUDIENCE_DELIVERED.code])


async def test_a_client_takes_codes_that_it_does_not_know(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """On topics where nobody answers but the test, as a later usher might."""
    for name, value in (system.environment | {"USHER_TOPIC_PREFIX": f"{system.bucket}-later"}).items():
        monkeypatch.setenv(name, value)
    problem = {"item": 0, "code": "of-tomorrow", "type": "weather", "instance": "@data/0", "title": "t", "detail": "d"}
    now = "2030-01-01T00:00:00.000Z"
    said = {"status": "accepted", "counts": {"items": 1, "failed": 1}, "errors": [problem], "effective_at": now,
            "expected_live_at": now, "trace_id": "t", "of_tomorrow": 1}  # fmt: skip
    async with open_kafka(load_settings(), client_id="tests") as log:
        await ensure_topics(log, [catalog.topic_spec(topic, 1) for topic in (catalog.COMMANDS, catalog.REPLIES)])
        async with connect(source="/tests") as client:
            id_ = await client.publish("s", "audiences.create", {"items": [{}]})
            producer = await log.producer()
            await producer.send([Out(catalog.REPLIES, b"s", codec.encode(said), (("ce_correlationid", id_.encode()),))])
            reply = await client.reply(id_)
            await producer.close()

    assert [(one.code, one.type) for one in reply.errors] == [("of-tomorrow", "weather")]


async def test_files_of_hashes_and_of_what_is_hashed_at_the_door(space: Space) -> None:
    """One algorithm a list, rows of another are rejected; raw addresses and numbers only where the space lets them in."""
    addresses = ["User@Example.com ", "john.sam@mail.com"]
    for algorithm in ("sha256", "sha1", "md5"):
        await space.audiences(algorithm, id_type=f"email_{algorithm}")
        await space.feed(algorithm, id_type=f"email_{algorithm}")
    every = [hashed(f"email_{one}", address) for address in addresses for one in ("sha256", "sha1", "md5")]
    for algorithm in ("sha256", "sha1", "md5"):
        text = "".join(f"{one}^{algorithm}\n" for one in every)
        done = await space.put_and_import(f"{algorithm}/1", text.encode())
        assert (done.counts.valid, done.rejected_by_code) == (2, {codes.ROW_IDENTIFIER_INVALID.code: 4})
        await space.catch_up()
        assert space.members(algorithm) == {hashed(f"email_{algorithm}", address) for address in addresses}
    refused = await space.ask("members.add", {"audience": "md5", "identifiers": every[:2]})
    (problem,) = refused["errors"]
    assert (problem["code"], problem["valid"], problem["invalid"]) == (codes.IDENTIFIER_INVALID.code, 0, 2)
    assert problem["sample_invalid"] == [str(one)[:64] for one in every[:2]]

    raw = {"name": "raw", "mode": "append", "lookback_days": 5, "id_type": "email",
           "source": {"kind": "s3", "prefix": f"{space.prefix}raw/"}}  # fmt: skip
    assert codes_of(await space.ask("feeds.create", raw)) == [codes.RAW_IDENTIFIERS_REFUSED.code]
    await space.send("spaces.update", {"policies": {"raw_identifiers": True}})
    await space.send("feeds.create", raw)
    done = await space.put_and_import("raw/1", b"alexz@example.com^sha256\nnobody^sha256\nalexz@example.com^md5\n")
    assert (done.counts.valid, done.counts.rejected) == (1, 2)
    await space.until("the new one", lambda: hashed("email_sha256", "alexz@example.com") in space.members("sha256"))
    closed = await space.ask("spaces.update", {"policies": {"raw_identifiers": False}})
    assert codes_of(closed) == [codes.IN_USE.code]


async def test_rows_without_consent_are_not_taken_and_large_plain_files_are_remarked_on(space: Space) -> None:
    """By a column of the file, or by a list of who consented: the file stays as it is, and its gated part follows."""
    await space.audiences("a", "consenting")
    gated = {"and": [{"audience": "a"}, {"audience": "consenting"}]}
    await space.send("audiences.create", {"name": "gated", "expression": gated})
    columns = [
        {"name": "id", "role": "identifier"},
        {"name": "seg", "role": "audience"},
        {"name": "ok", "role": "consent"},
    ]
    await space.feed("csv", format="csv", columns=columns)
    await space.feed("plain", mode="append", lookback_days=10)
    await space.feed("consents", audience_from={"audience": "consenting"})
    done = await space.put_and_import("csv/1", b"id,seg,ok\nu1,a,1\nu2,a,0\nu3,a,\nu4,a,yes\n")

    assert (done.counts.rows, done.counts.valid) == (4, 2)
    assert done.rejected_by_code == {codes.ROW_CONSENT_MISSING.code: 2}
    assert (space.members("a"), space.members("gated")) == ({"u1", "u4"}, set())
    await space.put_and_import("consents/1", b"u4\n")
    await space.until("who consents", lambda: space.members("gated") == {"u4"})

    large = rows("a", range(PLAIN_OBJECT_BYTES_MAX // 10))
    plain = await space.put_and_import("plain/1", large)
    packed = await space.put_and_import("plain/2.gz", gzip.compress(large))
    assert ([one.code for one in plain.warnings], packed.warnings) == ([codes.OBJECT_UNCOMPRESSED.code], [])
    assert (plain.state, packed.state) == ("applied", "applied")
    assert (plain.counts.valid, packed.counts.valid) == (PLAIN_OBJECT_BYTES_MAX // 10,) * 2
    assert await space.system.metric("intake", "usher_objects_uncompressed_total") >= 1
