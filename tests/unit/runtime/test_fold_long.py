"""Folds whose output takes several chunks: what was written is taken back where the rest can't follow."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from structlog.testing import capture_logs

from contracts.catalog import TopicSpec
from contracts.records import Out, Record, TopicPartition
from services.adapters.memory import MemoryBroker
from services.runtime.failures import Fatal
from services.runtime.fold import Fold
from services.runtime.log import Log
from services.runtime.loops.drain import CHUNK_OUTS
from tests.conformance.harness import eventually
from tests.unit.runtime.machine import (
    OUTPUT,
    SHARDS,
    FastClock,
    Numbering,
    NumberingService,
    Running,
    committed,
    feed,
    numbered,
    topics,
)


class Long(Numbering):
    """One record is many chunks long; `between` runs before each further one."""

    between: Callable[[], None]

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
        for _ in records:
            while True:
                yield from [Out(OUTPUT, None, b"x", (), self.shard)] * CHUNK_OUTS
                self.between()


class LongService(NumberingService):
    between: Callable[[], None]

    async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
        fold = Long(shard)
        fold.between = self.between
        return fold


async def nothing_hidden(log: Log) -> None:
    """No transaction is left open to hide others' records, and none has committed anything."""
    places = [TopicPartition(OUTPUT, shard) for shard in range(SHARDS)]
    assert await log.end_offsets(places, committed_only=True) == await log.end_offsets(places)
    assert await numbered(log) == [[], []]
    assert await committed(log) == {}


async def test_a_fold_that_fails_after_a_part_was_written_takes_it_back() -> None:
    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first")

    def fail() -> None:
        raise Fatal("in the middle")

    running.service = service = LongService(running.log)
    service.between = fail
    await topics(running.log)
    await feed(running.log, 2)
    running.start()
    assert isinstance(await running.ended(), Fatal)
    after = broker.connect("after")
    assert sum((await after.end_offsets([TopicPartition(OUTPUT, shard) for shard in range(SHARDS)])).values()) > 0
    await nothing_hidden(after)


async def test_a_revoked_fold_ends_at_its_next_chunk_and_takes_back_what_it_wrote() -> None:
    broker = MemoryBroker(clock=FastClock())
    running = Running(broker, "first", FastClock(10.0))  # slow enough for a chunk within the time of a revoke
    chunks: list[int] = []
    running.service = service = LongService(running.log)
    service.between = lambda: chunks.append(1)
    await topics(running.log)
    await feed(running.log, 2)
    with capture_logs() as lines:
        running.start()
        await eventually(lambda: len(chunks) > 4, "writing")
        assert running.task is not None
        running.task.cancel()  # leaves without a wish to finish, as when a sibling failed
        await running.ended()
    assert [line["event"] for line in lines if "abandoned" in line["event"]] == ["shard-abandoned"] * SHARDS
    await nothing_hidden(broker.connect("after"))
