"""A lane whose fetches are small takes many of them together where there is a backlog, on a log that keeps to sizes."""

import asyncio
from collections.abc import Sequence

from contracts.records import Out, Record, TopicPartition
from services.runtime.clock import SystemClock
from services.runtime.deliver import run_deliveries
from services.runtime.health import Health
from services.runtime.log import Log
from services.runtime.loops.backlog import Backlog
from tests.conformance.harness import eventually, new_topic, unique

RECORDS = 60
RECORD_BYTES = 20_000
LANE_BYTES_MAX = 500_000


class Receiver:
    """Keeps the offsets of each batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def assigned(self, partition: TopicPartition) -> None: ...

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        self.batches.append([record.offset for record in records])

    async def revoked(self, partition: TopicPartition) -> None: ...


async def test_a_backlog_comes_in_batches_of_the_size_that_a_lane_may_hold(log: Log) -> None:
    topic = await new_topic(log)
    producer = await log.producer()
    for _ in range(RECORDS):  # one by one: what is written together is fetched together, however small a fetch is
        await producer.send([Out(topic, None, b"x" * RECORD_BYTES, (), 0)])
    clock, receiver, stopping = SystemClock(), Receiver(), asyncio.Event()
    backlog = Backlog(LANE_BYTES_MAX * 4, LANE_BYTES_MAX, 48 * 1024)
    running = asyncio.create_task(
        run_deliveries(
            log, unique("group"), receiver, clock=clock, health=Health(clock), stopping=stopping, topics=[topic],
            partition_bytes_max=64 * 1024, backlog=backlog, records_max=4,
        )
    )  # fmt: skip
    await eventually(lambda: sum(map(len, receiver.batches)) == RECORDS, "all is delivered")
    stopping.set()
    await running
    assert [offset for batch in receiver.batches for offset in batch] == list(range(RECORDS))
    sizes = [len(batch) * RECORD_BYTES for batch in receiver.batches]
    assert max(sizes) <= LANE_BYTES_MAX + 4 * RECORD_BYTES
    assert max(sizes) >= LANE_BYTES_MAX
    assert backlog.bytes_left == LANE_BYTES_MAX * 4
