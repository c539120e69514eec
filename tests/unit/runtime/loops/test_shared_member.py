"""What the lanes of one member commit together: each partition while it is ours, whatever becomes of the others."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest

from contracts.records import Record, TopicPartition
from services.adapters.memory import Act, Faults, MemoryBroker
from services.runtime.failures import Unavailable
from services.runtime.log import Log, Membership
from services.runtime.loops.shared_member import SharedMember
from tests.unit.runtime.machine import INPUT, FastClock, topics

GROUP = "group"
COUNT = 100


class Slow:
    """A member whose commits end when they may, or fail."""

    def __init__(self) -> None:
        self.commits: list[dict[TopicPartition, int]] = []
        self.may = asyncio.Event()
        self.failing = 0

    async def poll(
        self, partitions: Iterable[TopicPartition], *, records_max: int, timeout_seconds: float
    ) -> list[Record]:
        raise NotImplementedError

    def seek(self, partition: TopicPartition, offset: int) -> None:
        raise NotImplementedError

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        raise NotImplementedError

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.commits.append(dict(offsets))
        await self.may.wait()
        if self.failing:
            self.failing -= 1
            raise Unavailable("not now")

    def assigned(self) -> frozenset[TopicPartition]:
        raise NotImplementedError

    def membership(self) -> Membership:
        raise NotImplementedError

    def behind(self, partition: TopicPartition) -> int | None:
        raise NotImplementedError

    async def close(self) -> None: ...


class Ours:
    """Which partitions are."""

    def __init__(self) -> None:
        self.lost: set[int] = set()

    async def commit(self, shared: SharedMember, number: int, offset: int) -> None:
        await shared.commit(place(number), offset, lambda: number not in self.lost)


class Counting(Faults):
    """Fails nothing: counts the acts."""

    def __init__(self) -> None:
        self.acts: Counter[Act] = Counter()

    def before(self, client: str, act: Act) -> None:
        self.acts[act] += 1


def place(number: int) -> TopicPartition:
    return TopicPartition(INPUT, number)


async def turn() -> None:
    """Whoever can go on does."""
    for _ in range(5):
        await asyncio.sleep(0)


async def committing(shared: SharedMember, ours: Ours, count: int) -> list[asyncio.Task[None]]:
    """Lanes that commit offset 7, one after the other: the first makes the commit under way."""
    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(ours.commit(shared, number, 7)))
        await turn()
    return tasks


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
async def log(counting: Counting) -> Log:
    made = MemoryBroker(clock=FastClock(), faults=counting).connect("shared")
    await topics(made, INPUT, partitions=COUNT)
    return made


async def test_a_commit_takes_along_what_came_during_the_one_before(log: Log) -> None:
    member, ours = Slow(), Ours()
    shared = SharedMember(member, log, GROUP)
    tasks = await committing(shared, ours, COUNT)
    assert not any(task.done() for task in tasks), "nobody goes on before its offset is committed"
    member.may.set()
    await asyncio.gather(*tasks)
    assert member.commits == [{place(0): 7}, {place(number): 7 for number in range(1, COUNT)}]


async def test_a_failure_comes_to_those_who_went_out_together_and_each_may_try_again(log: Log) -> None:
    member, ours = Slow(), Ours()
    shared = SharedMember(member, log, GROUP)
    member.failing = 2
    tasks = await committing(shared, ours, 4)
    member.may.set()
    assert [type(one) for one in await asyncio.gather(*tasks, return_exceptions=True)] == [Unavailable] * 4
    await asyncio.gather(*(ours.commit(shared, number, 7) for number in range(4)))
    assert {place for one in member.commits[2:] for place in one} == {place(number) for number in range(4)}


async def test_what_a_rebalance_took_meanwhile_is_not_committed_by_those_who_stay(log: Log) -> None:
    """Nor where it came back: another may have gone further, and an older offset would make that come again."""
    member, ours = Slow(), Ours()
    shared = SharedMember(member, log, GROUP)
    tasks = await committing(shared, ours, 4)
    ours.lost = {2}
    member.may.set()
    await asyncio.gather(*tasks)
    assert member.commits == [{place(0): 7}, {place(1): 7, place(3): 7}]


async def test_a_lane_that_leaves_takes_no_other_along(log: Log) -> None:
    member, ours = Slow(), Ours()
    shared = SharedMember(member, log, GROUP)
    tasks = await committing(shared, ours, 4)
    for number in (0, 1):  # the one makes the commit under way, the other would make the next
        ours.lost.add(number)
        tasks[number].cancel()
        await turn()
    member.may.set()
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [True, True, False, False]
    assert member.commits[-1] == {place(2): 7, place(3): 7}


async def test_nothing_is_asked_of_the_broker_where_nothing_is_ours(log: Log) -> None:
    member, ours = Slow(), Ours()
    ours.lost = {0}
    await ours.commit(SharedMember(member, log, GROUP), 0, 7)
    assert member.commits == []


async def test_many_lanes_ask_where_they_stand_in_a_few_questions(log: Log, counting: Counting) -> None:
    producer = await log.transactional_producer("offsets", timeout_seconds=10)
    await producer.begin()
    await producer.commit({place(1): 5}, GROUP)
    shared = SharedMember(Slow(), log, GROUP)
    counting.acts.clear()

    found = await asyncio.gather(*(shared.standing(place(number)) for number in range(COUNT)))

    assert found == [5 if number == 1 else 0 for number in range(COUNT)]
    assert sum(counting.acts.values()) <= 4, "those who come during the first question share the second"
