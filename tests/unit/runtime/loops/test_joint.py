"""What shards put together into one transaction: who goes with whom, and that a failure is everybody's."""

import asyncio
from collections.abc import Sequence

import pytest

from contracts.records import Out, TopicPartition
from services.adapters.memory import Act, Faults, MemoryBroker
from services.runtime.failures import Fenced, Unavailable
from services.runtime.log import GroupMember, Log
from services.runtime.loops.joint import GATHER_SECONDS, JointTransactions, Part
from tests.conformance.harness import Recording
from tests.unit.runtime.machine import FastClock, HandClock, topics

GROUP, IN, OUT = "together", "in.v1", "out.v1"
SHARDS = 3


class Failing(Faults):
    """Counts commits, and fails the next one as told: before or after its effect."""

    def __init__(self) -> None:
        self.commits = 0
        self.when: str | None = None
        self.hangs = asyncio.Event()

    def before(self, client: str, act: Act) -> None:
        self._fail(act, "before")

    def after(self, client: str, act: Act) -> None:
        self.commits += act == "commit"
        self._fail(act, "after")

    def _fail(self, act: Act, when: str) -> None:
        if act == "commit" and self.when == when:
            self.when = None
            raise Unavailable(when)


class Worker:
    """One member with all shards, each with its producer; `gone` is told when a part is on its way."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.log: Log = broker.connect("worker")
        self.joint = JointTransactions(SHARDS, HandClock())
        self.member: GroupMember

    async def start(self) -> "Worker":
        listener = Recording()
        await topics(self.log, IN, OUT, partitions=SHARDS)
        self.member = await self.log.join(GROUP, topics=[IN], listener=listener)
        await listener.holds(frozenset(TopicPartition(IN, shard) for shard in range(SHARDS)))
        return self

    async def part(self, shard: int, value: str, offset: int = 1) -> Part:
        producer = await self.log.transactional_producer(f"{GROUP}-{shard}", timeout_seconds=10)
        return Part(shard, producer, [Out(OUT, None, value.encode(), (), shard)], {TopicPartition(IN, shard): offset})

    def commit(self, part: Part) -> "asyncio.Task[None]":
        return asyncio.ensure_future(self.joint.commit(part, self.member.membership()))

    async def committed(self) -> dict[int, int]:
        offsets = await self.log.committed(GROUP, [TopicPartition(IN, shard) for shard in range(SHARDS)])
        return {place.partition: offset for place, offset in offsets.items()}


async def outcomes(tasks: Sequence["asyncio.Task[None]"]) -> list[type[BaseException] | None]:
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [None if one is None else type(one) for one in found]


async def test_what_is_ready_while_another_folds_goes_with_it() -> None:
    worker = await Worker(MemoryBroker(clock=FastClock(), faults=(faults := Failing()))).start()
    parts = [await worker.part(shard, "x") for shard in range(SHARDS)]
    with worker.joint.folding(2):
        early = [worker.commit(part) for part in parts[:2]]
        await asyncio.sleep(0)
        assert faults.commits == 0
        late = worker.commit(parts[2])
        assert await outcomes([*early, late]) == [None] * SHARDS
    assert faults.commits == 1
    assert await worker.committed() == {0: 1, 1: 1, 2: 1}


async def test_a_long_fold_holds_nobody_up() -> None:
    worker = await Worker(MemoryBroker(clock=FastClock())).start()
    clock = HandClock()
    worker.joint = JointTransactions(SHARDS, clock)
    began = clock.monotonic_seconds()
    with worker.joint.folding(2):
        await worker.commit(await worker.part(0, "x"))
    assert clock.monotonic_seconds() - began <= 2 * GATHER_SECONDS
    assert await worker.committed() == {0: 1}


async def test_what_comes_during_a_transaction_goes_together_in_the_next() -> None:
    worker = await Worker(MemoryBroker(clock=FastClock(), faults=(faults := Failing()))).start()
    parts = [await worker.part(shard, "x") for shard in range(SHARDS)]
    assert await outcomes([worker.commit(part) for part in parts]) == [None] * SHARDS
    assert faults.commits == 2, "the first alone, the others together"


@pytest.mark.parametrize(("when", "expected"), [("before", {}), ("after", {0: 1, 1: 1, 2: 1})])
async def test_an_unknown_outcome_is_that_of_all(when: str, expected: dict[int, int]) -> None:
    """And nobody may restore before the producer that it went by was made anew: till then it could be decided."""
    worker = await Worker(MemoryBroker(clock=FastClock(), faults=(faults := Failing()))).start()
    parts = [await worker.part(shard, "x") for shard in range(SHARDS)]
    faults.when = when
    with worker.joint.folding(3):
        tasks = [worker.commit(part) for part in parts]
        assert await outcomes(tasks) == [Unavailable] * SHARDS
    settled = asyncio.ensure_future(worker.joint.settled())
    for shard in (1, 2):
        await worker.part(shard, "y")
        worker.joint.initialised(shard)
    await asyncio.sleep(0)
    assert not settled.done(), "it went by the producer of shard 0"
    await worker.part(0, "y")
    worker.joint.initialised(0)
    await settled
    assert await worker.committed() == expected


async def test_an_interruption_leaves_nobody_waiting() -> None:
    worker = await Worker(MemoryBroker(clock=FastClock())).start()
    parts = [await worker.part(shard, "x") for shard in range(SHARDS)]
    stuck = asyncio.Event()

    async def never(offsets: object, by: object) -> None:
        stuck.set()
        await asyncio.Event().wait()

    parts[0].producer.commit = never  # type: ignore[method-assign] # a broker that does not answer
    with worker.joint.folding(3):
        first, other = worker.commit(parts[0]), worker.commit(parts[1])
        await stuck.wait()
    late = worker.commit(parts[2])
    first.cancel()
    assert await outcomes([first, other, late]) == [asyncio.CancelledError, Unavailable, None]
    assert await worker.committed() == {2: 1}


async def test_a_zombie_takes_nobody_with_it() -> None:
    """It is the member that is checked, not the producer: nobody has made any of them anew."""
    worker = await Worker(broker := MemoryBroker(clock=FastClock())).start()
    parts = [await worker.part(shard, "x") for shard in range(SHARDS)]
    listener = Recording()
    broker.isolate("worker")
    await broker.connect("other").join(GROUP, topics=[IN], listener=listener)
    await listener.holds(frozenset(TopicPartition(IN, shard) for shard in range(SHARDS)))
    with worker.joint.folding(3):
        assert await outcomes([worker.commit(part) for part in parts]) == [Fenced] * SHARDS
    for shard in range(SHARDS):
        await worker.part(shard, "y")
    assert await worker.committed() == {}


async def test_offsets_that_are_not_decided_are_waited_for() -> None:
    worker = await Worker(MemoryBroker(clock=FastClock(), faults=(faults := Failing()))).start()
    part = await worker.part(0, "x")
    faults.when = "before"
    assert await outcomes([worker.commit(part)]) == [Unavailable]
    asked = asyncio.ensure_future(worker.committed())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asked.done(), "they were added, and the transaction is open"
    await worker.part(0, "y")
    assert await asked == {}
