"""The commands topic of a system, copied into an empty one, makes the same catalogue there: ids and all."""

from pathlib import Path

import pytest

from contracts import catalog, codec
from contracts.partitioning import space_partition
from contracts.records import Out, Record
from deploy.local.state import StackState
from services.client import Follower
from services.runtime.log import Log
from tests.broker.space import own_space
from tests.broker.system import PARTITIONS, System, eventually, running_system

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

LIST = {"kind": "list", "id_type": "kuid"}
HOOK = {"connector": "webhook", "settings": {"url": "http://127.0.0.1:9/hook"}}
LIFE: list[tuple[str, list[dict[str, object]]]] = [
    ("audiences.create", [{"name": "a", **LIST}, {"name": "a", **LIST}, {"name": "b", "owner_id": "o", **LIST}]),
    ("audiences.create", [{"name": "both", "expression": {"or": [{"audience": "a"}, {"not": {"audience": "a"}}]}}]),
    ("audiences.create", [{"name": "mixed", "operator": "AND", "rules": {"segment": ["a", "b"]}}]),
    ("audiences.create", [{"id": "mine", "name": "mine", "external_ids": {"crm": "7"}, **LIST}]),
    ("audiences.update", [{"audience": "7", "name": "ours", "labels": ["x"]}, {"audience": "a", "expected_version": 9}]),
    ("audiences.delete", [{"audience": "b"}, {"audience": "a"}]),
    ("audiences.create", [{"name": "b", **LIST}]),
    ("members.add", [{"audience": "a", "identifiers": ["u1"]}, {"audience": "nobody", "identifiers": ["u1"]}]),
    ("feeds.create", [{"name": "f", "source": {"kind": "s3", "prefix": "replayed/"}, "mode": "replace", "id_type": "kuid"}]),
    ("destinations.create", [{"name": "shop", **HOOK}]),
    ("campaigns.create", [{"name": "spring"}, {"name": "autumn"}]),
    ("activations.create", [{"name": "later", "audience": "a", "destination": "shop", "start_date": "2030-01-01",
                             "campaign_id": "spring"}]),
    ("campaigns.delete", [{"campaign": "spring"}, {"campaign": "autumn"}]),
    ("principals.create", [{"name": "crm", "permissions": ["audiences:read"]}]),
]  # fmt: skip


async def present(log: Log, topic: str, space: str) -> dict[bytes, Record]:
    """The newest record of each key of a space; of commands, which have one key, all by their place."""
    found: dict[bytes, Record] = {}

    def sink(record: Record) -> None:
        key = record.key or b""
        if key.split(b"/")[0] == space.encode():
            found[key if b"/" in key else b"%d/%d" % (record.partition, record.offset)] = record

    follower = await Follower.open(log, [topic], sink, from_end=False)
    await follower.catch_up()
    await follower.close()
    return found


async def catalogue(log: Log, space: str) -> dict[str, dict[str, object] | None]:
    """The present forms by their keys, None for what is gone; without the machine's time from which feeds look back."""
    forms: dict[str, dict[str, object] | None] = {}
    for key, record in (await present(log, catalog.CATALOGUE, space)).items():
        form = None if record.value is None else codec.decode(record.value, dict[str, object])
        forms[key.decode()] = form and {name: one for name, one in form.items() if name != "watched_since"}
    return forms


async def test_commands_replayed_into_an_empty_system_make_the_same_catalogue_and_ids(
    system: System, space_name: str, stack: StackState, tmp_path: Path
) -> None:
    async with own_space(system, space_name, clock="manual", time="2026-01-01") as space:
        for type_, items in LIFE:
            await space.ask(type_, *items)
            await space.client.publish(space.name, type_, {"items": items}, id_=f"twice-{type_}")
        await space.client.publish_event(
            space.name, {"id": "odd", "type": "audiences.multiply", "data": {"items": [{}]}}
        )
        await space.send("clock.advance", {"to": "2026-02-01"})
        await space.send("audiences.update", {"audience": "a", "description": "in February"})
    wanted = await catalogue(system.log, space_name)
    commands = await present(system.log, catalog.COMMANDS, space_name)
    assert {one.partition for one in commands.values()} == {space_partition(space_name, PARTITIONS["control"])}

    async with running_system(stack, tmp_path, services=["control"]) as empty:
        producer = await empty.log.producer()
        await producer.send(
            [Out(one.topic, one.key, one.value, one.headers, one.partition) for one in commands.values()]
        )
        await producer.close()

        async def is_done() -> bool:
            forms = await catalogue(empty.log, space_name)
            return any(form is not None and form.get("description") == "in February" for form in forms.values())

        await eventually("all have taken effect", is_done)
        assert await catalogue(empty.log, space_name) == wanted
