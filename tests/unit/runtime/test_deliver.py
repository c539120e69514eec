"""The Deliver loop on the memory log: at least once, in order, one partition never held up by another."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import pytest

from contracts import codes
from contracts.catalog import QUEUE_PATTERN
from contracts.records import Out, Record, TopicPartition
from services.adapters.memory import MemoryBroker
from services.runtime.deliver import run_deliveries
from services.runtime.failures import Fatal, Rejected, Unavailable
from services.runtime.health import Health
from services.runtime.telemetry import REGISTRY
from tests.conformance.harness import eventually
from tests.unit.runtime.machine import INPUT, SHARDS, FastClock, Flaky, committed, feed, topics

Handling = Callable[[TopicPartition, Sequence[Record]], Awaitable[None]]


class Receiver:
    """A `Deliver` that keeps what it was given; `handling` runs before anything is kept."""

    def __init__(self) -> None:
        self.got: dict[TopicPartition, list[str]] = defaultdict(list)
        self.calls: list[tuple[str, TopicPartition]] = []
        self.cancelled: list[TopicPartition] = []
        self.handling: Handling | None = None

    async def assigned(self, partition: TopicPartition) -> None:
        self.calls.append(("assigned", partition))

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        try:
            if self.handling is not None:
                await self.handling(partition, records)
        except asyncio.CancelledError:
            self.cancelled.append(partition)
            raise
        self.got[partition] += [(record.value or b"").decode() for record in records]

    async def revoked(self, partition: TopicPartition) -> None:
        self.calls.append(("revoked", partition))


class Delivering:
    """One process that delivers."""

    def __init__(self, broker: MemoryBroker, name: str, *, pattern: str | None = None) -> None:
        self.log = broker.connect(name)
        self.clock = FastClock()
        self.health = Health(self.clock)
        self.receiver = Receiver()
        self.stopping = asyncio.Event()
        self._pattern = pattern
        self.task: asyncio.Task[None] | None = None

    def start(self) -> "Delivering":
        self.task = asyncio.create_task(
            run_deliveries(
                self.log,
                "delivering",
                self.receiver,
                clock=self.clock,
                health=self.health,
                stopping=self.stopping,
                topics=() if self._pattern else (INPUT,),
                pattern=self._pattern,
                records_max=5,
                random=lambda: 0.1,
            )
        )
        return self

    async def stopped(self) -> BaseException | None:
        self.stopping.set()
        return await self.ended()

    async def ended(self) -> BaseException | None:
        assert self.task is not None
        await asyncio.wait((self.task,))
        return None if self.task.cancelled() else self.task.exception()


def place(shard: int) -> TopicPartition:
    return TopicPartition(INPUT, shard)


def sent(count: int, shard: int, first: int = 0) -> list[str]:
    return [str(number) for number in range(first, count) if number % SHARDS == shard]


async def commits(process: Delivering, offsets: dict[int, int]) -> None:
    """Returns when exactly these offsets are committed."""
    deadline = asyncio.get_running_loop().time() + 20
    while (found := await committed(process.log, "delivering")) != offsets:
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.01)


@pytest.fixture
async def broker() -> MemoryBroker:
    made = MemoryBroker(clock=FastClock())
    await topics(made.connect("feeder"))
    return made


async def test_each_partition_gets_its_records_in_order_and_is_committed(broker: MemoryBroker) -> None:
    process = Delivering(broker, "first").start()
    await feed(process.log, 20)
    await commits(process, {0: 10, 1: 10})
    assert process.receiver.got == {place(0): sent(20, 0), place(1): sent(20, 1)}
    assert await process.stopped() is None
    assert sorted(process.receiver.calls) == [
        (what, place(shard)) for what in ("assigned", "revoked") for shard in (0, 1)
    ]


async def test_a_partition_that_hangs_delays_no_other(broker: MemoryBroker) -> None:
    process = Delivering(broker, "first")
    go_on = asyncio.Event()

    async def hang(partition: TopicPartition, records: Sequence[Record]) -> None:
        if partition == place(0):
            await go_on.wait()

    def lag_seconds() -> float:
        labels = {"group": "delivering", "topic": place(0).topic, "partition": "0"}
        found = REGISTRY.get_sample_value("usher_deliver_lag_seconds", labels)
        assert found is not None
        return found

    process.receiver.handling = hang
    process.start()
    await feed(process.log, 20)
    await commits(process, {1: 10})
    before = lag_seconds()
    await eventually(lambda: lag_seconds() > before, "the lag grows while nothing is done")
    go_on.set()
    await commits(process, {0: 10, 1: 10})
    assert await process.stopped() is None


async def test_the_same_records_come_again_after_unavailable_and_nothing_is_committed(broker: MemoryBroker) -> None:
    process = Delivering(broker, "first")
    tries: list[list[int]] = []

    async def fail(partition: TopicPartition, records: Sequence[Record]) -> None:
        if partition == place(0) and len(tries) < 4:
            assert 0 not in await committed(process.log, "delivering")
            tries.append([record.offset for record in records])
            raise Unavailable("not now", retry_after_seconds=2.0 if len(tries) == 1 else None)

    process.receiver.handling = fail
    await feed(process.log, 20)
    process.start()
    await commits(process, {0: 10, 1: 10})
    assert tries == [[0, 1, 2, 3, 4]] * 4
    assert process.receiver.got[place(0)] == sent(20, 0)
    assert await process.stopped() is None


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Rejected(codes.DELIVERY_PERMANENT, "handle has to deal with it"), "a bug (Rejected"),
        (ValueError("oops"), "a bug (ValueError"),
        (Fatal("the operator must act"), "the operator must act"),
    ],
)
async def test_what_handle_may_not_raise_stops_the_loop(
    broker: MemoryBroker, error: BaseException, message: str
) -> None:
    process = Delivering(broker, "first")

    async def fail(partition: TopicPartition, records: Sequence[Record]) -> None:
        if partition == place(0):
            raise error

    process.receiver.handling = fail
    await feed(process.log, 4)
    process.start()
    raised = await process.ended()
    assert isinstance(raised, Fatal)
    assert message in str(raised)
    assert 0 not in await committed(broker.connect("after"), "delivering")


async def test_a_partition_that_goes_to_another_owner_is_cancelled_and_not_committed(broker: MemoryBroker) -> None:
    first = Delivering(broker, "first")
    begun: set[TopicPartition] = set()

    async def hang(partition: TopicPartition, records: Sequence[Record]) -> None:
        begun.add(partition)
        await asyncio.Event().wait()

    first.receiver.handling = hang
    await feed(first.log, 10)
    first.start()
    await eventually(lambda: begun == {place(0), place(1)}, "both partitions hang")
    second = Delivering(broker, "second").start()
    await eventually(lambda: bool(second.receiver.got), "the second has one")
    (moved,) = second.receiver.got
    await eventually(lambda: first.receiver.cancelled == [moved], "the first gave up that one only")
    assert ("revoked", moved) in first.receiver.calls
    assert second.receiver.got[moved] == sent(10, moved.partition), "nothing of it was committed by the first"
    await second.stopped()
    first.stopping.set()
    assert await first.ended() is None


async def test_a_long_reading_survives_a_rebalance_that_gives_the_request_back(broker: MemoryBroker) -> None:
    first = Delivering(broker, "first")
    begun: dict[TopicPartition, int] = defaultdict(int)
    go_on = asyncio.Event()

    async def long(partition: TopicPartition, records: Sequence[Record]) -> None:
        begun[partition] += 1
        await go_on.wait()

    first.receiver.handling = long
    await feed(first.log, 10)
    first.start()
    await eventually(lambda: len(begun) == SHARDS, "both are being handled")
    second = Delivering(broker, "second").start()
    await eventually(lambda: len(first.receiver.cancelled) == 1, "one goes to the second")
    (moved,) = first.receiver.cancelled
    kept = place(1 - moved.partition)
    go_on.set()
    await commits(first, {0: 5, 1: 5})
    assert begun[kept] == 1, "handled once, through the rebalance"
    assert first.receiver.got[kept] == sent(10, kept.partition)
    assert [what for what, where in first.receiver.calls if where == kept] == ["assigned"]
    for process in (first, second):
        assert await process.stopped() is None


async def test_what_was_handled_while_another_went_on_is_not_committed(broker: MemoryBroker) -> None:
    """A zombie's work: the other owner has moved the offset, so the zombie follows it and commits nothing of its own."""
    zombie = Delivering(broker, "first")
    go_on = asyncio.Event()

    async def long(partition: TopicPartition, records: Sequence[Record]) -> None:
        if records[0].offset == 0:
            await go_on.wait()

    zombie.receiver.handling = long
    await feed(zombie.log, 10)
    zombie.start()
    await eventually(lambda: len(zombie.health.pulses) == SHARDS, "begun")
    broker.isolate("first")
    owner = Delivering(broker, "second").start()
    await commits(owner, {0: 5, 1: 5})
    await feed(zombie.log, 10, first=10)
    await commits(owner, {0: 10, 1: 10})
    assert await owner.stopped() is None
    await broker.heartbeat("first")
    go_on.set()
    await feed(zombie.log, 10, first=20)
    await commits(zombie, {0: 15, 1: 15})
    assert await zombie.stopped() is None
    for shard in range(SHARDS):
        later = [value for value in zombie.receiver.got[place(shard)] if int(value) >= 10]
        assert later == sent(30, shard, first=20), "followed from where the other had got to"


async def test_a_new_queue_is_joined_by_pattern_without_disturbing_the_others(broker: MemoryBroker) -> None:
    process = Delivering(broker, "first", pattern=QUEUE_PATTERN)
    await topics(process.log, "deliveries.one.v1", partitions=1)
    process.start()
    one, two = TopicPartition("deliveries.one.v1", 0), TopicPartition("deliveries.two.v1", 0)
    await eventually(lambda: ("assigned", one) in process.receiver.calls, "one")
    await topics(process.log, "deliveries.two.v1", partitions=1)
    await eventually(lambda: ("assigned", two) in process.receiver.calls, "two")
    producer = await process.log.producer()
    await producer.send([Out(place.topic, None, b"x", (), 0) for place in (one, two)])
    await eventually(lambda: process.receiver.got == {one: ["x"], two: ["x"]}, "both deliver")
    assert process.receiver.calls == [("assigned", one), ("assigned", two)]
    assert await process.stopped() is None


async def test_a_stop_lets_the_handle_under_way_end_and_commits_it(broker: MemoryBroker) -> None:
    process = Delivering(broker, "first")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hold(partition: TopicPartition, records: Sequence[Record]) -> None:
        begun.set()
        await go_on.wait()

    process.receiver.handling = hold
    await feed(process.log, 4)
    process.start()
    await begun.wait()
    process.stopping.set()
    await asyncio.sleep(0)
    go_on.set()
    assert await process.ended() is None
    assert set((await committed(broker.connect("after"), "delivering")).values()) == {2}


async def test_a_stop_does_not_wait_for_ever(broker: MemoryBroker) -> None:
    process = Delivering(broker, "first")
    begun = asyncio.Event()

    async def hang(partition: TopicPartition, records: Sequence[Record]) -> None:
        begun.set()
        await asyncio.Event().wait()

    process.receiver.handling = hang
    await feed(process.log, 4)
    process.start()
    await begun.wait()
    assert await process.stopped() is None
    assert process.receiver.cancelled
    assert await committed(broker.connect("after"), "delivering") == {}


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_lost_whatever_fails(seed: int) -> None:
    """At least once, and first deliveries in order, with every broker call failing now and then."""
    faults = Flaky(seed, share=0.1, spared="feeder")
    broker = MemoryBroker(clock=FastClock(), faults=faults)
    log = broker.connect("feeder")
    await topics(log)
    first, second = Delivering(broker, "first").start(), Delivering(broker, "second").start()
    fed = 0
    while fed < 300:
        await feed(log, 10, first=fed)
        fed += 10
        await asyncio.sleep(0.002)  # many deliveries, each of which can fail
        if fed == 150:
            assert await second.stopped() is None
    faults.share = 0.0
    await commits(first, {0: fed // 2, 1: fed // 2})
    assert await first.stopped() is None
    for shard in range(SHARDS):
        got = first.receiver.got[place(shard)] + second.receiver.got[place(shard)]
        assert set(got) == set(sent(fed, shard))
    own = [int(value) for value in first.receiver.got[place(0)]]
    firsts = list(dict.fromkeys(own))
    assert firsts == sorted(firsts), "in order while an owner lives"


async def test_a_hanging_handle_is_seen_by_liveness(broker: MemoryBroker) -> None:
    process = Delivering(broker, "first")

    async def hang(partition: TopicPartition, records: Sequence[Record]) -> None:
        await asyncio.Event().wait()

    process.receiver.handling = hang
    await feed(process.log, 1)
    process.start()
    await eventually(lambda: len(process.health.pulses) == SHARDS, "begun")
    pulse = next(pulse for pulse in process.health.pulses if pulse.name.endswith("/0"))
    pulse.allowed_seconds = 1.0
    await eventually(lambda: len(process.health.not_alive()) == 1, "reported")
    assert process.health.not_alive()[0].startswith("delivering input.v1/0: no progress for")
    assert await process.stopped() is None
