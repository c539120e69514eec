"""A lane at its narrowest moments: rebalances between two tries and in a commit, and records that are gone."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest

from contracts.records import Out, Record, TopicPartition
from services.adapters.memory import MemoryBroker, MemoryLog
from services.runtime.backoff import Backoff
from services.runtime.failures import OffsetLost, Unavailable
from services.runtime.health import Health
from services.runtime.log import Log, Membership
from services.runtime.loops.backlog import Backlog
from services.runtime.loops.lane import Lane, Runs, all_together
from services.runtime.loops.shared_member import SharedMember
from tests.conformance.harness import eventually
from tests.unit.runtime.machine import INPUT, FastClock, topics

PLACE = TopicPartition(INPUT, 0)
GROUP = "group"


class Deciding:
    """A member that holds the partition always, and asks a test what becomes of each commit."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._position: int | None = None
        self.commits: list[int] = []
        self.committing: Callable[[], None] = lambda: None

    async def poll(
        self, partitions: Iterable[TopicPartition], *, records_max: int, timeout_seconds: float
    ) -> list[Record]:
        reader = await self._log.reader([PLACE])
        assert self._position is not None, "nobody may poll from an undefined position"
        reader.seek(PLACE, self._position)
        records = await reader.read(timeout_seconds=timeout_seconds, records_max=records_max)
        if records:
            self._position = records[-1].offset + 1
        return records

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._position = offset

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        raise NotImplementedError

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committing()
        self.commits.append(offsets[PLACE])
        await others_commit(self._log, offsets[PLACE])

    def assigned(self) -> frozenset[TopicPartition]:
        return frozenset({PLACE})

    def membership(self) -> Membership:
        raise NotImplementedError

    def behind(self, partition: TopicPartition) -> int | None:
        return None

    async def close(self) -> None: ...


class Receiver:
    def __init__(self) -> None:
        self.handled: list[int] = []
        self.handling: Callable[[], None] = lambda: None

    async def assigned(self, partition: TopicPartition) -> None: ...

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        self.handling()
        self.handled += [record.offset for record in records]

    async def revoked(self, partition: TopicPartition) -> None: ...


async def others_commit(log: Log, offset: int) -> None:
    producer = await log.transactional_producer("offsets", timeout_seconds=10)
    await producer.begin()
    await producer.commit({PLACE: offset}, GROUP)


@pytest.fixture
async def log() -> Log:
    made = MemoryBroker(clock=FastClock()).connect("lane")
    await topics(made, INPUT)
    producer = await made.producer()
    await producer.send([Out(INPUT, None, b"x", (), 0) for _ in range(10)])
    return made


def lane(
    log: Log,
    receiver: Receiver,
    *,
    runs: Runs = all_together,
    skips_lost: bool = False,
    backlog: Backlog | None = None,
) -> Lane:
    clock = FastClock()
    return Lane(
        PLACE,
        GROUP,
        receiver,
        log,
        clock=clock,
        pulse=Health(clock).pulse("lane", allowed_seconds=60),
        backoff=Backoff(base_seconds=1.0, cap_seconds=1.0, random=lambda: 1.0),
        records_max=5,
        backlog=backlog or Backlog(),
        runs=runs,
        skips_lost=skips_lost,
    )


async def test_what_another_owner_did_between_two_tries_is_not_tried_again(log: Log) -> None:
    receiver, member = Receiver(), Deciding(log)
    tested = lane(log, receiver)
    moved: list[asyncio.Task[None]] = []

    def fail_once() -> None:
        if not moved:
            moved.append(asyncio.ensure_future(others_commit(log, 7)))
            tested.suspend()
            tested.resume()
            raise Unavailable("not now")

    receiver.handling = fail_once
    task = asyncio.create_task(tested.run(SharedMember(member, log, GROUP)))
    await eventually(lambda: member.commits[-1:] == [10], "the rest is committed")
    tested.end()
    await task
    assert receiver.handled == [7, 8, 9]


async def test_a_commit_is_not_tried_again_in_another_tenure(log: Log) -> None:
    """It could set the offset back behind what another owner has committed in between."""
    receiver, member = Receiver(), Deciding(log)
    tested = lane(log, receiver)
    moved: list[asyncio.Task[None]] = []

    def fail_once() -> None:
        if not moved:
            moved.append(asyncio.ensure_future(others_commit(log, 9)))
            tested.suspend()
            tested.resume()
            raise Unavailable("not now")

    member.committing = fail_once
    task = asyncio.create_task(tested.run(SharedMember(member, log, GROUP)))
    await eventually(lambda: member.commits[-1:] == [10], "the rest is committed")
    tested.end()
    await task
    assert member.commits == [10]
    assert receiver.handled == [0, 1, 2, 3, 4, 9]


async def test_a_commit_that_fails_for_now_does_not_undo_what_was_handled(log: Log) -> None:
    receiver, member = Receiver(), Deciding(log)
    tested = lane(log, receiver)
    failures = iter([True, True, False, False])

    def fail_twice() -> None:
        if next(failures):
            raise Unavailable("not now")

    member.committing = fail_twice
    task = asyncio.create_task(tested.run(SharedMember(member, log, GROUP)))
    await eventually(lambda: member.commits == [5, 10], "all is committed")
    tested.end()
    await task
    assert receiver.handled == list(range(10)), "each once"


async def test_what_retention_took_before_the_first_poll_is_skipped_where_asked_for(log: Log) -> None:
    receiver, member = Receiver(), Deciding(log)
    tested = lane(log, receiver, skips_lost=True)
    await others_commit(log, 1)
    await log.delete_records({PLACE: 3})
    task = asyncio.create_task(tested.run(SharedMember(member, log, GROUP)))
    await eventually(lambda: member.commits[-1:] == [10], "the rest is committed")
    tested.end()
    await task
    assert receiver.handled == [*range(3, 10)]


async def test_what_retention_took_between_two_polls_is_skipped_too(log: Log) -> None:
    assert isinstance(log, MemoryLog)
    receiver, member = Receiver(), Deciding(log)
    tested = lane(log, receiver, skips_lost=True)
    member.committing = lambda: log._cluster.partition(PLACE).delete_before(7)
    task = asyncio.create_task(tested.run(SharedMember(member, log, GROUP)))
    await eventually(lambda: member.commits[-1:] == [10], "the rest is committed")
    tested.end()
    await task
    assert receiver.handled == [0, 1, 2, 3, 4, 7, 8, 9]


async def test_and_stops_the_loop_elsewhere(log: Log) -> None:
    receiver, member = Receiver(), Deciding(log)
    await others_commit(log, 1)
    await log.delete_records({PLACE: 3})
    with pytest.raises(OffsetLost):
        await lane(log, receiver).run(SharedMember(member, log, GROUP))


async def test_an_offset_behind_the_end_is_of_another_topic(log: Log) -> None:
    receiver, member = Receiver(), Deciding(log)
    await others_commit(log, 11)
    with pytest.raises(OffsetLost, match="made anew"):
        await lane(log, receiver, skips_lost=True).run(SharedMember(member, log, GROUP))


def pairs(records: Sequence[Record]) -> Iterable[Sequence[Record]]:
    """Of five: two runs of two and one of one."""
    return [records[at : at + 2] for at in range(0, len(records), 2)]


async def test_each_run_of_a_batch_is_committed_by_itself(log: Log) -> None:
    receiver, member = Receiver(), Deciding(log)
    tested = lane(log, receiver, runs=pairs)
    task = asyncio.create_task(tested.run(SharedMember(member, log, GROUP)))
    await eventually(lambda: member.commits[-1:] == [10], "all is committed")
    tested.end()
    await task
    assert member.commits == [2, 4, 5, 7, 9, 10]
    assert receiver.handled == list(range(10))


async def test_a_rebalance_that_gives_back_what_was_under_way_brings_the_other_runs_again(log: Log) -> None:
    receiver, member = Receiver(), Deciding(log)
    tested = lane(log, receiver, runs=pairs)

    def rebalance() -> None:
        if receiver.handled == [0, 1]:
            tested.suspend()
            tested.resume()

    receiver.handling = rebalance
    task = asyncio.create_task(tested.run(SharedMember(member, log, GROUP)))
    await eventually(lambda: member.commits[-1:] == [10], "all is committed")
    tested.end()
    await task
    assert member.commits == [2, 4, 6, 8, 9, 10], "after offset 4 it polled anew"
    assert receiver.handled == list(range(10)), "each once"


async def test_a_run_that_was_begun_is_the_last_when_it_is_to_end(log: Log) -> None:
    receiver, member = Receiver(), Deciding(log)
    tested = lane(log, receiver, runs=pairs)
    receiver.handling = tested.end
    await tested.run(SharedMember(member, log, GROUP))
    assert (receiver.handled, member.commits) == ([0, 1], [2])


@pytest.mark.parametrize(
    ("backlog", "commits"),
    [
        (Backlog(40, 100, 5), [10]),  # a poll brings five bytes, and the lane's share is ten
        (Backlog(40, 5, 5), [5, 10]),
        (Backlog(20, 100, 5), [5, 10]),
        (Backlog(40, 100, 6), [5, 10]),  # no poll is full
        (Backlog(), [5, 10]),
    ],
)
async def test_more_is_taken_of_a_backlog_as_far_as_all_lanes_have_room(
    log: Log, backlog: Backlog, commits: list[int]
) -> None:
    receiver, member, had = Receiver(), Deciding(log), backlog.bytes_left
    tested = lane(log, receiver, backlog=backlog)
    task = asyncio.create_task(tested.run(SharedMember(member, log, GROUP)))
    await eventually(lambda: member.commits[-1:] == [10], "all is committed")
    tested.end()
    await task
    assert (receiver.handled, member.commits, backlog.bytes_left) == (list(range(10)), commits, had)
