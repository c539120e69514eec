"""Router, lanes and catalogue view together, as `app.py` composes them, on the memory log."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import pytest
from msgspec.structs import replace

from contracts import catalog, codec
from contracts.messages.delivery import Delivered, Routed
from contracts.messages.entities import Destination, catalogue_key
from contracts.partitioning import space_partition
from contracts.records import Out, Record, TopicPartition
from services.activation.app import activate
from services.adapters.memory import MemoryBroker
from services.runtime.failures import Unavailable
from services.runtime.health import Health
from services.runtime.log import Log
from services.runtime.settings import Settings
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import Receiver, ScriptedOutlets
from tests.unit.domain.delivery.making import SPACE, activation, change, destination, marker, snapshot
from tests.unit.runtime.machine import FastClock

SETTINGS = Settings.model_validate(
    {
        "kafka_bootstrap_servers": "nowhere:1",
        "topic_partitions_control": 2,
        "topic_partitions_membership": 4,
        "topic_partitions_deliveries": 2,
    }
)
DEADLINE_SECONDS = 20.0


class FarSide(Protocol):
    """Answers requests."""

    def take(self, request: WebRequest) -> WebAnswer: ...


class Web:
    """Hands each request to the receiver, unless its URL is down."""

    def __init__(self, receiver: FarSide) -> None:
        self.receiver = receiver
        self.down: set[str] = set()
        self.requests = 0

    async def send(self, request: WebRequest) -> WebAnswer:
        self.requests += 1
        await asyncio.sleep(0)
        if request.url in self.down:
            raise Unavailable("the connection was refused")
        return self.receiver.take(request)

    async def close(self) -> None: ...


class World:
    """A broker with the topics of activation, a destination, and a receiver behind it."""

    def __init__(self) -> None:
        self.clock = FastClock()
        self.broker = MemoryBroker(clock=self.clock)
        self.log = self.broker.connect("world")
        self.receiver = Receiver()
        self.web = Web(self.receiver)

    async def prepare(self) -> None:
        for name in (
            catalog.CHANGES, catalog.ROUTER_STATE, catalog.OUTCOMES, catalog.CATALOGUE, catalog.DEAD_LETTERS,
            catalog.VERIFICATIONS, catalog.RECEIPTS,
        ):  # fmt: skip
            partitions = SETTINGS.partitions(catalog.topic_pages()[name].partitions)
            await self.log.ensure_topic(catalog.topic_spec(name, partitions))
        await self.create(destination())

    async def create(self, made: Destination) -> None:
        """What control does for a new destination."""
        await self.log.ensure_topic(catalog.topic_spec(catalog.queue_topic(made.queue), 2, page=catalog.DELIVERIES))
        place = space_partition(SPACE, 2)
        await self.write([Out(catalog.CATALOGUE, catalogue_key(made).encode(), codec.encode(made), partition=place)])

    async def write(self, outs: Sequence[Out]) -> None:
        producer = await self.log.producer()
        await producer.send(outs)

    async def changes(self, *records: Record) -> None:
        """Membership writes these; their offsets are the log's own."""
        await self.write(
            [Out(record.topic, None, record.value, record.headers, record.partition) for record in records]
        )

    @contextlib.asynccontextmanager
    async def worker(self, name: str) -> AsyncIterator[asyncio.Event]:
        """A process that runs activation; leaving the block stops it in order, `kill` before that ends it at once."""
        stopping = asyncio.Event()
        running = asyncio.create_task(
            activate(
                self.broker.connect(name),
                self.web,
                ScriptedOutlets(),
                SETTINGS,
                clock=self.clock,
                health=Health(self.clock),
                stopping=stopping,
                environment={"USHER_SECRET_X": "x"},
            )
        )
        killed = asyncio.Event()
        try:
            yield killed
        finally:
            if killed.is_set():
                self.broker.kill(name)
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
                self.broker.expire(name)
            else:
                stopping.set()
                await running

    async def requested(self, more: int = 1) -> None:
        """Returns after so many more requests from here on."""
        enough = self.web.requests + more
        await until(lambda: self.web.requests >= enough)

    async def outcomes(self) -> list[Routed | Delivered]:
        found: list[Routed | Delivered] = []
        for record in await read_all(self.log, catalog.OUTCOMES):
            match codec.header(record.headers, "ce_type"):
                case "routed":
                    found.append(codec.decode(record.value or b"", Routed))
                case "delivered":
                    found.append(codec.decode(record.value or b"", Delivered))
        return found

    async def counters(self) -> dict[str, int]:
        """As control counts: by watermark."""
        counted: dict[tuple[str, str, int], int] = {}
        total = dict.fromkeys(("changes", "dropped", "delivered", "merged", "dead"), 0)
        for one in await self.outcomes():
            source = (type(one).__name__, one.activation_id, one.partition)
            if one.through_offset <= counted.get(source, 0):
                continue
            counted[source] = one.through_offset
            if isinstance(one, Routed):
                total["changes"] += one.changes
                total["dropped"] += one.dropped
            else:
                total["delivered"] += one.delivered
                total["merged"] += one.merged
                total["dead"] += one.dead_lettered
        return total

    async def settled(self, members: int) -> dict[str, int]:
        """The counters once so many members are delivered or merged: the receiver has them a little earlier."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (found := await self.counters())["delivered"] + found["merged"] < members:
            assert time.monotonic() < deadline, found
        return found


async def read_all(log: Log, topic: str) -> list[Record]:
    places = [TopicPartition(topic, n) for n in range(await log.partitions(topic))]
    ends = await log.end_offsets(places, committed_only=True)
    reader = await log.reader(places)
    found: list[Record] = []
    while any([await reader.position(place) < end for place, end in ends.items()]):
        found += await reader.read(timeout_seconds=0.05)
    await reader.close()
    return found


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "too late"
        await asyncio.sleep(0.01)


@pytest.fixture
async def world() -> World:
    made = World()
    await made.prepare()
    return made


async def test_changes_reach_the_receiver(world: World) -> None:
    async with world.worker("one"):
        for partition in range(4):
            await world.changes(
                marker(0, "started", partition=partition),
                snapshot(1, [f"old{partition}"], partition=partition),
                change(2, "entered", [f"a{partition}", f"b{partition}"], partition=partition),
                change(3, "exited", [f"a{partition}", f"old{partition}"], partition=partition),
            )
        await until(lambda: world.receiver.members() == {f"b{n}" for n in range(4)})
        counters = await world.settled(4 * 5)
    assert counters["changes"] == 4 * 5 == counters["delivered"] + counters["merged"]
    assert await read_all(world.log, catalog.DEAD_LETTERS) == []


async def test_a_killed_worker_loses_nothing_and_nothing_is_counted_twice(world: World) -> None:
    expected: set[str] = set()
    for n in range(4):
        await world.changes(marker(0, "started", partition=n))
    for round_number in range(6):
        async with world.worker(f"worker{round_number}") as killed:
            for partition in range(4):
                name = f"m{round_number}.{partition}"
                await world.changes(
                    change(1, "entered", [name, f"{name}.gone"], partition=partition, step=round_number)
                )
                await world.changes(change(2, "exited", [f"{name}.gone"], partition=partition, step=round_number))
                expected.add(name)
            await world.requested()
            killed.set()
    async with world.worker("last"):
        await until(lambda: world.receiver.members() == expected)
        counters = await world.settled(6 * 4 * 3)
    assert counters["changes"] == 6 * 4 * 3
    assert counters["delivered"] + counters["merged"] == counters["changes"]


async def test_a_dead_destination_delays_no_other_and_a_stop_waits_for_no_retry(world: World) -> None:
    """The other destination, its queue included, is made while the first one is being retried."""
    second = replace(destination(url="https://other.example.com/"), destination_id="des_2", name="other", queue="q2")
    other = replace(activation("act_2"), destination_id="des_2")
    world.web.down.add("https://example.com/hook")
    async with world.worker("one"):
        await world.changes(marker(0, "started"), change(1, "entered", ["a"]))
        await until(lambda: world.web.requests > 2)
        await world.create(second)
        await world.changes(marker(2, "started", other, queue="q2"), change(3, "entered", ["b"]))
        await until(lambda: world.receiver.members("act_2") == {"b"})
        assert world.receiver.members() == set()
    world.web.down.clear()
    async with world.worker("two"):
        await until(lambda: world.receiver.members() == {"a", "b"})
        counters = await world.settled(3)
    assert (counters["changes"], counters["delivered"]) == (3, 3)


async def test_an_ended_activation_gets_nothing_more_after_a_restart_either(world: World) -> None:
    await world.changes(marker(0, "started"), marker(1, "started", activation("act_2")), change(2, "entered", ["a"]))
    async with world.worker("one"):
        await until(lambda: world.receiver.members("act_2") == {"a"} == world.receiver.members())
    await world.changes(marker(3, "ended"))
    async with world.worker("two"):
        await world.changes(change(4, "entered", ["b"]))
        await until(lambda: world.receiver.members("act_2") == {"a", "b"})
    assert world.receiver.members() == {"a"}
    assert [one.ended_step for one in await world.outcomes() if isinstance(one, Routed) and one.ended_step] == [6]
