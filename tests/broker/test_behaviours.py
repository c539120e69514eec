"""Behaviours of the three documents that no other walk shows, through the real topics (contracts/behaviours.md)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from contracts import catalog, codec, codes
from contracts.messages.published import ACTIVATION_STATUS_IDS
from contracts.records import Out
from services.adapters.connect import open_kafka
from services.client import connect, opened
from services.runtime.environment import load_settings
from services.tools.receiver import Receiver
from services.tools.topics import ensure_topics
from tests.broker.space import Space, builtins, own_space
from tests.broker.system import SECRET_REFERENCE, System

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
