"""Records that call for no output: no transaction of their own, committed all the same, and never lost or doubled."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import pytest

from contracts.catalog import TopicSpec
from contracts.records import Out, Record
from services.adapters.memory import Act, Faults, MemoryBroker
from services.runtime.fold import Fold
from tests.conformance.harness import becomes
from tests.unit.runtime.machine import (
    OUTPUT,
    SHARDS,
    FastClock,
    Flaky,
    Numbering,
    NumberingService,
    Running,
    committed,
    feed,
    numbered,
    topics,
)
from tests.unit.runtime.test_fold_watching import WatchingNumbers

EVERY = 10
"""Each record of this number calls for output, the others move the state only."""


class Sparing(Numbering):
    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
        for _ in records:
            self.count += 1
            if self.count % EVERY == 0:
                yield Out(OUTPUT, None, str(self.count).encode(), (), self.shard)


class SparingService(NumberingService):
    async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
        self.restored.append((shard, dict(offsets)))
        return Sparing(shard, sum(offsets.values()))


class Commits(Faults):
    """Counts what reaches the broker."""

    def __init__(self) -> None:
        self.acts: Counter[Act] = Counter()

    def before(self, client: str, act: Act) -> None:
        del client
        self.acts[act] += 1


def sparing(broker: MemoryBroker, name: str, clock: FastClock | None = None) -> Running:
    running = Running(broker, name, clock)
    running.service = SparingService(running.log)
    return running


def every_tenth(count: int) -> list[list[str]]:
    """What a shard says of `count` records."""
    return [[str(number) for number in range(EVERY, count // SHARDS + 1, EVERY)]] * SHARDS


async def test_they_are_committed_together_after_a_while() -> None:
    faults = Commits()
    broker = MemoryBroker(clock=FastClock(), faults=faults)
    running = sparing(broker, "one", FastClock(10.0))
    await topics(running.log)
    running.start()
    for first in range(0, 8, 2):
        await feed(running.log, 2, first=first)
        await asyncio.sleep(0)
    await becomes(lambda: committed(running.log), {0: 4, 1: 4})
    assert faults.acts["commit"] <= 2 * SHARDS, "one for each shard; two where a slow machine lets a second pass"
    assert await running.stopped() is None


async def test_a_stop_commits_them() -> None:
    broker = MemoryBroker(clock=FastClock())
    running = sparing(broker, "one", FastClock(0.001))  # a second never passes
    await topics(running.log)
    running.start()
    await feed(running.log, 26)
    await becomes(lambda: numbered(running.log), every_tenth(26))
    assert await running.stopped() is None
    assert await committed(broker.connect("after")) == {0: 13, 1: 13}


@pytest.mark.parametrize("seed", range(6))
async def test_unknown_outcomes_lose_none_of_them(seed: int) -> None:
    faults = Flaky(seed, share=0.1, spared="feeder")
    broker = MemoryBroker(clock=FastClock(), faults=faults)
    log = broker.connect("feeder")
    await topics(log)
    running = sparing(broker, "one").start()
    fed = 0
    while len(running.service.restored) < 6 and fed < 5_000:
        await feed(log, 20, first=fed)
        fed += 20
        await asyncio.sleep(0.002)
    faults.share = 0.0
    await becomes(lambda: numbered(log), every_tenth(fed))
    assert fed < 5_000, "something failed, else this test says nothing"
    assert await running.stopped() is None


async def test_a_service_that_watches_is_not_shown_them_before_they_are_committed() -> None:
    broker = MemoryBroker(clock=FastClock())
    running = sparing(broker, "one")

    class Watching(WatchingNumbers):
        async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
            return Sparing(shard, sum(offsets.values()))

    running.service = watching = Watching(running.log)
    await topics(running.log)
    running.start()
    await feed(running.log, 46)
    await becomes(lambda: committed(running.log), {0: 23, 1: 23})
    assert await running.stopped() is None
    assert {(shard, offset) for shard, offset, _, stopping in watching.shown if stopping} == {(0, 23), (1, 23)}
    assert all(offset == count for _, offset, count, _ in watching.shown)
