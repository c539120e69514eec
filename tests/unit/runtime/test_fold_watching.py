"""A service that watches is shown exactly committed state: after each commit, when idle, and when asked to stop."""

import gc
import weakref
from collections.abc import Mapping

import pytest

from contracts.records import TopicPartition
from services.adapters.memory import MemoryBroker
from services.runtime.fold import Fold, Watching
from services.runtime.log import Log
from tests.conformance.harness import becomes, eventually
from tests.unit.runtime.machine import (
    INPUT,
    FastClock,
    Flaky,
    Numbering,
    NumberingService,
    Running,
    committed,
    feed,
    topics,
)

Shown = tuple[int, int, int, bool]
"""Shard, offset, records counted, whether the service is stopping."""


class WatchingNumbers(NumberingService):
    """Remembers what it was shown."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self._log_of_group = log
        self.shown: list[Shown] = []
        self.endings: list[int] = []
        self.folds: list[weakref.ref[Fold]] = []

    async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
        fold = await super().restore(shard, offsets)
        self.folds.append(weakref.ref(fold))
        return fold

    async def committed(self, shard: int, fold: Fold, offsets: Mapping[str, int], *, stopping: bool) -> None:
        assert isinstance(fold, Numbering)
        place = TopicPartition(INPUT, shard)
        assert (await self._log_of_group.committed(self.group, [place])).get(place, 0) == offsets[INPUT]
        self.shown.append((shard, offsets[INPUT], fold.count, stopping))

    def ended(self, shard: int) -> None:
        self.endings.append(shard)


class WatchingRunning(Running):
    def __init__(self, broker: MemoryBroker, name: str, clock: FastClock | None = None) -> None:
        super().__init__(broker, name, clock)
        self.watching = WatchingNumbers(self.log)
        self.service = self.watching


def test_a_service_without_the_method_watches_nothing() -> None:
    log = MemoryBroker(clock=FastClock()).connect("test")
    assert not isinstance(NumberingService(log), Watching)
    assert isinstance(WatchingNumbers(log), Watching)


async def test_it_is_shown_the_state_of_the_committed_offsets_and_the_last_once_more_at_the_end() -> None:
    broker = MemoryBroker(clock=FastClock())
    running = WatchingRunning(broker, "one")
    await topics(running.log)
    await feed(running.log, 40)
    running.start()
    await becomes(lambda: committed(running.log), {0: 20, 1: 20})
    assert await running.stopped() is None
    for shard in (0, 1):
        shown = [one for one in running.watching.shown if one[0] == shard]
        assert shown[-1] == (shard, 20, 20, True)
        offsets = [offset for _, offset, _, stopping in shown if not stopping]
        assert sorted(set(offsets) - {0, 20}) == [7, 14]  # the last of them may be shown at the stop only
        assert offsets == sorted(offsets)
        assert all(offset == count for _, offset, count, _ in shown), "nothing is folded while it looks"


@pytest.mark.parametrize("seed", range(4))
async def test_what_failed_to_commit_is_never_shown(seed: int) -> None:
    faults = Flaky(seed, share=0.1, spared="test")
    broker = MemoryBroker(clock=FastClock(), faults=faults)
    running = WatchingRunning(broker, "one")
    running.watching._log_of_group = broker.connect("test")  # which never fails
    await topics(running.watching._log_of_group)
    await feed(running.watching._log_of_group, 60)
    running.start()
    await becomes(lambda: committed(running.watching._log_of_group), {0: 30, 1: 30})
    faults.share = 0.0
    assert await running.stopped() is None
    assert all(offset == count for _, offset, count, _ in running.watching.shown)


async def test_a_shard_that_is_lost_is_not_shown_again_and_is_freed() -> None:
    broker = MemoryBroker(clock=FastClock())
    first, second = WatchingRunning(broker, "first"), WatchingRunning(broker, "second")
    await topics(first.log)
    await feed(first.log, 40)
    first.start()
    await becomes(lambda: committed(first.log), {0: 20, 1: 20})
    second.start()
    await eventually(lambda: len(second.watching.folds) == 1, "the second owns one")
    await eventually(lambda: len(first.watching.folds) == 3, "the first owned both, and owns one")
    gc.collect()
    assert [fold() is not None for fold in first.watching.folds] == [False, False, True]
    assert not any(stopping for *_, stopping in first.watching.shown)
    assert sorted(first.watching.endings) == [0, 1]
    assert await second.stopped() is None
    assert await first.stopped() is None
    assert {shard for shard, *_ in second.watching.shown} == {1}
    assert [stopping for *_, stopping in second.watching.shown if stopping] == [True]
