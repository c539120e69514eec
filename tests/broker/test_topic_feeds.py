"""Feeds that are topics: every event counts once, in the order of its partition, whoever dies meanwhile."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence

import pytest
import pytest_asyncio

from contracts import codec, codes
from contracts.catalog import TopicSpec
from contracts.partitioning import default_partition
from contracts.records import Out, TopicPartition
from services.runtime.log import Log
from tests.broker.space import Space
from tests.broker.system import System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

SOURCES = 3
X = {"name": "x", "expression": {"and": [{"audience": "a"}, {"not": {"audience": "b"}}]}}
UUID = "00000000-0000-4000-8000-{:012x}"


class Shop:
    """Writes events to a topic of its own, one identity's always to one partition, and knows who should be where."""

    def __init__(self, log: Log, topic: str) -> None:
        self.log = log
        self.topic = topic
        self.members: dict[str, set[str]] = {}

    async def open(self) -> None:
        spec = TopicSpec(
            name=self.topic, partitions=SOURCES, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20
        )
        await self.log.ensure_topic(spec)
        self._producer = await self.log.producer()

    async def send(self, *events: tuple[str, str, str]) -> None:
        """(identity, audience, op)."""
        for identity, audience, op in events:
            there = self.members.setdefault(audience, set())
            (there.add if op == "add" else there.discard)(identity)
        await self._producer.send([self._out(*one) for one in events])

    async def send_raw(self, *values: bytes) -> None:
        await self._producer.send([Out(self.topic, None, value, (), 0) for value in values])

    def _out(self, identity: str, audience: str, op: str) -> Out:
        value = json.dumps({"id": identity.upper(), "audience": audience, "op": op, "ts": 1}).encode()
        home = default_partition(identity.encode(), SOURCES)
        return Out(self.topic, identity.encode(), value, (), home)


@pytest_asyncio.fixture(loop_scope="session")
async def shop(others: Log, space: Space) -> Shop:
    made = Shop(others, f"{space.name}.events")
    await made.open()
    return made


def random_events(generator: random.Random, count: int) -> list[tuple[str, str, str]]:
    return [
        (UUID.format(generator.randrange(200)), generator.choice("ab"), generator.choice(["add", "add", "remove"]))
        for _ in range(count)
    ]


async def agrees(space: Space, shop: Shop, names: Sequence[str] = "ab") -> None:
    """Members and sizes are what the events add up to."""

    def apart() -> list[str]:
        expected = {name: shop.members.get(name, set()) for name in names}
        return [
            name
            for name, members in expected.items()
            if (space.members(name), space.observed.size(name)) != (members, len(members))
        ]

    await space.until(f"members and sizes of {', '.join(names)}", lambda: not apart())


async def test_every_event_counts_once_whoever_dies(space: Space, system: System, shop: Shop) -> None:
    generator = random.Random(7)
    await space.audiences("a", "b", id_type="user_id")
    await space.send("audiences.create", X)
    await shop.send(*random_events(generator, 300))
    source = {"kind": "topic", "topic": shop.topic}
    (made,) = await space.send("feeds.create", {"name": "shop", "id_type": "user_id", "source": source})
    await agrees(space, shop)
    for service in ("intake", "membership", "intake", "control"):
        sending = asyncio.create_task(keep_sending(shop, generator))
        await system.kill(service)
        await system.start(service)
        await sending
        await shop.send_raw(b"?", json.dumps({"id": "u", "audience": "nobody", "op": "add"}).encode())
    await agrees(space, shop)
    await space.until("the composition", lambda: space.members("x") == shop.members["a"] - shop.members["b"] or None)
    assert {change.cause.kind for _, change in space.changes} == {"stream", "composition"}
    assert {change.cause.id for _, change in space.changes} == {made["feed_id"]}
    assert len({id_ for id_, _ in space.changes}) == len(space.changes)
    await space.until("dead letters", lambda: letters_of(space, shop) == {
        codes.EVENT_INVALID.code: 4, codes.ROW_AUDIENCE_UNKNOWN.code: 4,
    } or None)  # fmt: skip
    await system.ready()


async def keep_sending(shop: Shop, generator: random.Random) -> None:
    for _ in range(20):
        await shop.send(*random_events(generator, 40))


def letters_of(space: Space, shop: Shop) -> dict[str, int]:
    """How many records of the topic are in dead letters, by code; a letter that was sent twice counts once."""
    found = {
        (codec.header(one.headers, "dlq-code") or "", one.value, codec.header(one.headers, "dlq-offset"))
        for one in space.letters
        if codec.header(one.headers, "dlq-topic") == shop.topic
    }
    return dict(Counter(code for code, _, _ in found))


async def test_a_feed_that_is_enabled_again_goes_on_and_skips_what_is_gone(
    space: Space, system: System, shop: Shop, others: Log
) -> None:
    await space.audiences("a", id_type="user_id")
    source = {"kind": "topic", "topic": shop.topic}
    await space.send("feeds.create", {"id": "shop", "name": "shop", "id_type": "user_id", "source": source})
    one = UUID.format(1)
    await shop.send((one, "a", "add"))
    await agrees(space, shop, "a")
    await space.send("feeds.update", {"feed": "shop", "enabled": False})
    await shop.send((one, "a", "remove"))
    home = TopicPartition(shop.topic, default_partition(one.encode(), SOURCES))
    await others.delete_records({home: 2})
    await space.send("feeds.update", {"feed": "shop", "enabled": True})
    await shop.send((one, "a", "add"), (UUID.format(2), "a", "add"))
    await agrees(space, shop, "a")
    assert [change.members for _, change in space.changes] == [[one], [UUID.format(2)]]
    assert await system.metric("intake", "usher_deliveries_lost_records_total") >= 1


async def test_a_feed_whose_topic_comes_later_holds_up_no_other(space: Space, shop: Shop, others: Log) -> None:
    await space.audiences("a", id_type="user_id")
    late = Shop(others, f"{space.name}.late")
    for name, topic in (("late", late.topic), ("shop", shop.topic)):
        source = {"kind": "topic", "topic": topic}
        await space.send("feeds.create", {"name": name, "id_type": "user_id", "source": source})
    await shop.send((UUID.format(1), "a", "add"))
    await agrees(space, shop, "a")
    assert late.topic not in await others.topics()
    await late.open()
    await late.send((UUID.format(2), "a", "add"))
    await space.until("both", lambda: space.members("a") == {UUID.format(1), UUID.format(2)} or None)
