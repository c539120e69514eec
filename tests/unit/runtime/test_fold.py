"""The Fold loop on the memory log: effectively once through kills, fences, rebalances and unknown outcomes."""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence

import pytest

from contracts.catalog import TopicSpec
from contracts.records import Out, Record
from services.adapters.memory import MemoryBroker
from services.runtime.failures import Fatal, OffsetLost, Unavailable
from services.runtime.fold import Fold
from services.runtime.telemetry import REGISTRY
from tests.conformance.harness import eventually
from tests.unit.runtime.machine import (
    INPUT,
    MORE,
    SHARDS,
    FastClock,
    Flaky,
    Numbering,
    NumberingService,
    Running,
    committed,
    expected,
    feed,
    folding,
    numbered,
    topics,
)


async def shows(running: Running, count: int) -> None:
    """Returns when the output of `count` records is all there, and nothing else is."""
    deadline = asyncio.get_running_loop().time() + 20
    while (found := await numbered(running.log)) != expected(count):
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.01)


async def test_each_record_is_folded_once_in_order_and_committed() -> None:
    broker = MemoryBroker(clock=FastClock())
    async with folding(broker) as running:
        await topics(running.log)
        await feed(running.log, 40)
        await shows(running, 40)
    assert await committed(broker.connect("after")) == {0: 20, 1: 20}
    assert running.service.restored == [(0, {}), (1, {})]


async def test_the_next_process_goes_on_from_the_committed_offsets() -> None:
    broker = MemoryBroker(clock=FastClock())
    async with folding(broker) as first:
        await topics(first.log)
        await feed(first.log, 10)
        await shows(first, 10)
    async with folding(broker, "second") as second:
        await feed(second.log, 10, first=10)
        await shows(second, 20)
    assert second.service.restored == [(0, {INPUT: 5}), (1, {INPUT: 5})]


async def test_a_process_that_joins_takes_its_share_and_nothing_is_lost_or_doubled() -> None:
    broker = MemoryBroker(clock=FastClock())
    async with folding(broker) as first:
        await topics(first.log)
        await feed(first.log, 20)
        async with folding(broker, "second") as second:
            await feed(first.log, 40, first=20)
            await shows(first, 60)
            assert {shard for shard, _ in second.service.restored} == {1}
        await feed(first.log, 10, first=60)
        await shows(first, 70)


@pytest.mark.parametrize("seed", range(8))
async def test_unknown_outcomes_lose_nothing_and_double_nothing(seed: int) -> None:
    """Every call fails now and then, before or after its effect; two processes come and go."""
    faults = Flaky(seed, share=0.1, spared="feeder")
    broker = MemoryBroker(clock=FastClock(), faults=faults)
    log = broker.connect("feeder")
    await topics(log)
    fed = 0
    async with folding(broker) as first:
        async with folding(broker, "second") as second:
            while len(first.service.restored + second.service.restored) < 8 and fed < 5_000:
                await feed(log, 20, first=fed)
                fed += 20
                await asyncio.sleep(0.002)  # some records at a time: many transactions, each of which can fail
        faults.share = 0.0
        await shows(first, fed)
    assert fed < 5_000, "something failed, else this test says nothing"


async def test_a_killed_owner_leaves_an_open_transaction_that_the_next_one_settles() -> None:
    broker = MemoryBroker(clock=FastClock())
    held = threading.Event()
    first = Running(broker, "first")

    def hold(record: Record) -> None:
        if record.offset == 3:
            held.wait(20)

    first.service.when_folding = hold
    await topics(first.log)
    first.start()
    await feed(first.log, 20)
    await eventually(lambda: len(first.service.restored) == SHARDS, "restored")
    broker.kill("first")
    broker.expire("first")
    async with folding(broker, "second") as second:
        await shows(second, 20)
    held.set()
    assert first.task is not None
    first.task.cancel()
    await first.ended()


async def test_a_zombie_never_writes_and_joins_again_when_it_learns() -> None:
    broker = MemoryBroker(clock=FastClock())
    async with folding(broker) as zombie:
        await topics(zombie.log)
        await feed(zombie.log, 20)
        await shows(zombie, 20)
        broker.isolate("first")
        async with folding(broker, "second") as owner:
            await eventually(lambda: len(owner.service.restored) == SHARDS, "the second owns both shards")
            await feed(owner.log, 20, first=20)  # the zombie polls them too
            await shows(owner, 40)
            assert len(zombie.service.restored) == SHARDS, "never initialised against the rightful owner"
            await broker.heartbeat("first")
            await feed(owner.log, 20, first=40)
            await shows(owner, 60)


async def test_a_transaction_that_outlived_its_timeout_is_given_out_anew_by_the_group() -> None:
    """Fenced by the broker, not by another owner: nobody would ever fold the shard again."""
    broker = MemoryBroker(clock=FastClock())
    async with folding(broker) as running:
        await topics(running.log)
        await feed(running.log, 4)
        await shows(running, 4)
        broker.time_out("numbering-0")
        await feed(running.log, 16, first=4)
        await shows(running, 20)


async def test_a_revoke_during_a_fold_commits_nothing_of_it() -> None:
    broker = MemoryBroker(clock=FastClock())
    first = Running(broker, "first")
    reached, go_on = threading.Event(), threading.Event()

    def hold(record: Record) -> None:
        if record.partition == 1 and record.offset == 2:
            reached.set()
            go_on.wait(20)

    first.service.when_folding = hold
    await topics(first.log)
    first.start()
    await feed(first.log, 20)
    await eventually(reached.is_set, "shard 1 is folding")
    async with folding(broker, "second") as second:
        await shows(second, 20)  # shard 1 went to the second although the first's thread still folds it
        assert (1, {}) in second.service.restored, "nothing of the first's batch was committed"
        go_on.set()
    assert await first.stopped() is None
    assert await numbered(broker.connect("after")) == expected(20)


async def test_a_graceful_stop_finishes_the_transaction_under_way() -> None:
    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first")
    reached, go_on = threading.Event(), threading.Event()

    def hold(record: Record) -> None:
        reached.set()
        go_on.wait(20)

    running.service.when_folding = hold
    await topics(running.log)
    await feed(running.log, 2)
    running.start()
    await eventually(reached.is_set, "folding")
    running.stopping.set()
    for _ in range(20):  # turns of the loop in which the stop is noticed
        await asyncio.sleep(0)
    go_on.set()
    assert await running.ended() is None
    found = await committed(broker.connect("after"))
    assert found
    assert set(found.values()) == {1}
    written = {shard for shard, values in enumerate(await numbered(running.log)) if values}
    assert written == set(found), "output and offsets move together"


async def test_records_without_output_are_committed_too() -> None:
    class Silent(Numbering):
        def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
            return iter(())

    class SilentService(NumberingService):
        async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
            return Silent(shard)

    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first")
    running.service = SilentService(running.log)
    await topics(running.log)
    await feed(running.log, 10)
    running.start()
    deadline = asyncio.get_running_loop().time() + 20
    while await committed(running.log) != {0: 5, 1: 5}:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    assert await running.stopped() is None


async def test_what_is_due_happens_without_records() -> None:
    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first")
    running.service.plan = running.clock.now_ms() + 2_000
    await topics(running.log)
    running.start()
    deadline = asyncio.get_running_loop().time() + 20
    while await numbered(running.log) != [["due"], ["due"]]:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    assert await running.stopped() is None
    assert await committed(running.log) == {0: 0, 1: 0}, "without offsets the broker could not tell a zombie"


async def test_a_topic_that_is_asked_for_exists_before_the_commit() -> None:
    spec = TopicSpec(name=MORE, partitions=1, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20)

    class Asking(Numbering):
        def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
            for record in records:
                yield spec
                yield Out(MORE, None, record.value, (), 0)

    class AskingService(NumberingService):
        async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
            return Asking(shard)

    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first")
    running.service = AskingService(running.log)
    await topics(running.log)
    await feed(running.log, 2)
    running.start()
    deadline = asyncio.get_running_loop().time() + 20
    while await committed(running.log) != {0: 1, 1: 1}:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    assert await running.log.partitions(MORE) == 1
    assert await running.stopped() is None


@pytest.mark.parametrize(
    ("error", "message", "cause"),
    [
        (Fatal("the operator must act"), "the operator must act", None),
        (OffsetLost("retention"), "retention", None),
        (KeyError("oops"), "a bug (KeyError", KeyError),
    ],
)
async def test_what_cannot_be_retried_stops_the_loop_with_nothing_committed(
    error: BaseException, message: str, cause: type[BaseException] | None
) -> None:
    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first")

    def fail(record: Record) -> None:
        if record.partition == 0:
            raise error

    running.service.when_folding = fail
    await topics(running.log)
    await feed(running.log, 10)
    running.start()
    raised = await running.ended()
    assert isinstance(raised, Fatal)
    assert message in str(raised)
    assert (cause is None) == (raised.__cause__ is None)
    assert 0 not in await committed(broker.connect("after"))


async def test_unequal_partitions_are_refused_in_words() -> None:
    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first")
    running.service.topics = (INPUT, MORE)
    await topics(running.log)
    await topics(running.log, MORE, partitions=3)
    running.start()
    raised = await running.ended()
    assert isinstance(raised, Fatal)
    assert "input.v1 has 2, more.v1 has 3" in str(raised)


async def test_readiness_waits_for_the_restore_and_progress_is_shown() -> None:
    class Slow(NumberingService):
        gate = asyncio.Event()

        async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
            await self.gate.wait()
            return await super().restore(shard, offsets)

    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first")
    running.service = service = Slow(running.log)
    service.gate = asyncio.Event()
    await topics(running.log)
    running.start()
    await eventually(lambda: len(running.health.pulses) == SHARDS, "both shards have begun")
    assert running.health.not_ready() == ["numbering: waiting"]
    service.gate.set()
    await eventually(lambda: not running.health.not_ready(), "ready")
    assert running.health.not_alive() == []
    assert await running.stopped() is None
    assert not running.health.pulses


async def test_a_restore_that_fails_for_now_is_tried_again() -> None:
    class Unlucky(NumberingService):
        tries = 0

        async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
            self.tries += 1
            if self.tries < 4:
                raise Unavailable("no checkpoint store")
            return await super().restore(shard, offsets)

    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first")
    running.service = Unlucky(running.log)
    await topics(running.log)
    await feed(running.log, 10)
    running.start()
    await shows(running, 10)
    assert await running.stopped() is None


async def test_lag_and_stages_are_shown_while_a_shard_is_folded_here() -> None:
    def lag(unit: str) -> float | None:
        labels = {"group": NumberingService.group, "shard": "0"}
        return REGISTRY.get_sample_value(f"usher_fold_lag_{unit}", labels)

    def batches(stage: str) -> float:
        labels = {"group": NumberingService.group, "stage": stage}
        return REGISTRY.get_sample_value("usher_fold_stage_seconds_count", labels) or 0.0

    before = {stage: batches(stage) for stage in ("fold", "send", "commit")}
    async with folding(MemoryBroker(clock=FastClock())) as running:
        await topics(running.log)
        await feed(running.log, 10)
        await shows(running, 10)
        await eventually(lambda: (lag("seconds"), lag("records")) == (0, 0), "nothing is left to read")
    assert (lag("seconds"), lag("records")) == (None, None), "it is another worker's to show"
    assert all(batches(stage) > count for stage, count in before.items())
