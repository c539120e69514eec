"""What a crash costs: SIGKILL, start, and the first new commit of every partition of a membership service.

A static member with four partitions, together 10 M identities in 10 audiences. Their checkpoints are written here, as the
service would have, and stand at the end of the log: what is measured is Python, the group, fencing and loading; what stands
behind a checkpoint is replayed at the speed of a `fold` besides. The new commit is that of a command for one new identity
on each partition, on the log before the start. Broker and S3 share the cores.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import msgspec
import numpy as np

from contracts import catalog
from contracts.codec import encode
from contracts.messages.results import Applied, Result
from contracts.messages.steps import PatchStep, TickStep
from contracts.partitioning import member_partition
from contracts.records import Out, Record, TopicPartition
from services.adapters.connect import open_kafka, open_objects
from services.client import Follower
from services.domain.rows import Form, Identities
from services.membership.checkpoint_store import CheckpointStore
from services.membership.checkpointing import Checkpointing, Pace
from services.membership.fold import PartitionFold
from services.membership.service import GROUP
from services.runtime.clock import SystemClock
from services.runtime.environment import load_settings
from services.runtime.log import Log
from services.runtime.settings import Settings
from services.tools.local_system import LocalSystem
from services.tools.topics import ensure_topics
from services.tools.topics_command import specs_of
from tests.benchmarks.checkpoint import Building, headers
from tests.benchmarks.measure import Measured, cpu_seconds_of, measured

CASES: Final = ("10m",)
IDENTITIES: Final = 10_000_000
AUDIENCES: Final = 10
SHARE: Final = 0.1  # of the identities, in each audience but the first, which has all
RUNS: Final = 5
PARTITIONS: Final = 4
NAME: Final = "bench-restart"
WITHIN_SECONDS: Final = 120.0
# So that what is killed leaves no other checkpoint than the one that was made for it.
ENVIRONMENT: Final = {
    "USHER_TOPIC_PREFIX": NAME,
    "USHER_INSTANCE_ID": NAME,
    "USHER_CHECKPOINT_INPUT_BYTES": str(1 << 40),
    "USHER_CHECKPOINT_SECONDS": "1e9",
}


async def restart(system: LocalSystem, cases: Collection[str] = CASES) -> list[Measured]:
    """`RUNS` restarts after a start that isn't counted."""
    assert set(cases) <= set(CASES)
    settings = load_settings().model_copy(update={"topic_prefix": NAME, "topic_partitions_membership": PARTITIONS})
    seconds, cpu = [], []
    async with open_kafka(settings, client_id="bench") as log:
        await ensure_topics(log, specs_of(settings))
        step = await _keep(log, settings)
        async with aclosing(_restarts(system, log, step)) as restarts:
            async for took_seconds, used_seconds in restarts:
                seconds.append(took_seconds)
                cpu.append(used_seconds)
    milliseconds = [one * 1000 for one in seconds[1:]]
    return [measured("restart", "10m", "start to first commits", "ms", milliseconds, cpu[1:], better="lower")]


async def _keep(log: Log, settings: Settings) -> int:
    """Checkpoints of every partition, and the group's offsets; returns the space's latest step."""
    values = np.frombuffer(np.random.default_rng(1).bytes(16 * IDENTITIES), dtype=np.uint8).reshape(-1, 16)
    homes = Identities.of_bytes(Form.UUID, values).partitions(PARTITIONS)
    bucket, _, path = (settings.state_url or "").removeprefix("s3://").partition("/")
    step = 0
    async with open_objects(settings) as objects:
        store = CheckpointStore(objects, bucket, f"{path}/{NAME}")
        pace, clock = Pace(input_bytes=1, seconds=1.0), SystemClock()
        writing = Checkpointing(log, store, pace, clock=clock, offload=asyncio.to_thread)
        for number in range(PARTITIONS):
            building = Building()
            building.fold = PartitionFold(number, partitions=PARTITIONS, results_partitions=1)
            await asyncio.to_thread(_build, building, values[homes == number])
            end = await _mark(log, building, number)
            await writing.last(building.fold, end)
            assert building.fold.progress.saved_offset == end, "not written in time"
            await _commit(log, number, end)
            step = building.step
    return step


def _build(building: Building, values: "np.ndarray[Any, np.dtype[np.uint8]]") -> None:
    random = np.random.default_rng(1)
    building.replace("aud_0", values)
    for audience in range(1, AUDIENCES):
        building.replace(f"aud_{audience}", values[random.random(len(values)) < SHARE])


async def _mark(log: Log, building: Building, number: int) -> int:
    """The log needs the record behind which the checkpoint is taken; returns the offset after it."""
    tick = encode(TickStep(**building.next()))
    producer = await log.producer()
    await producer.send([Out(catalog.INPUT, None, tick, headers("step"), number)])
    place = TopicPartition(catalog.INPUT, number)
    end = (await log.end_offsets([place]))[place]
    building.handle(Record(catalog.INPUT, number, end - 1, 0, None, tick, headers("step")))
    return end


async def _commit(log: Log, number: int, offset: int) -> None:
    producer = await log.transactional_producer(f"{GROUP}-{number}", timeout_seconds=60.0)
    await producer.begin()
    await producer.commit({TopicPartition(catalog.INPUT, number): offset}, GROUP)
    await producer.close()


async def _restarts(system: LocalSystem, log: Log, step: int) -> AsyncGenerator[tuple[float, float]]:
    """Seconds and CPU seconds from each start to the last partition's commit; a kill in between."""
    async with _answers(log) as (follower, said):
        for run in range(RUNS + 1):
            await _command(log, step + run + 1)
            began = time.monotonic()
            pid = await system.children.start(NAME, "services.membership", [], ENVIRONMENT)
            async with asyncio.timeout(WITHIN_SECONDS):
                while len(said) < PARTITIONS:
                    await follower.pump(0.005)
            took_seconds = time.monotonic() - began
            said.clear()
            yield took_seconds, cpu_seconds_of({NAME: pid})
            await system.children.kill(NAME)


@asynccontextmanager
async def _answers(log: Log) -> AsyncIterator[tuple[Follower, list[Applied]]]:
    said: list[Applied] = []

    def take(record: Record) -> None:
        result = msgspec.json.decode(record.value or b"", type=Result)
        if isinstance(result, Applied):
            said.append(result)

    follower = await Follower.open(log, [catalog.RESULTS], take, from_end=False)
    try:
        yield follower, said
    finally:
        await follower.close()


async def _command(log: Log, step: int) -> None:
    """Adds a new identity on each partition."""
    named: dict[int, str] = {}
    while len(named) < PARTITIONS:
        identifier = str(uuid.uuid4())
        named[member_partition(identifier, PARTITIONS)] = identifier
    base = TickStep(**Building().next())
    producer = await log.producer()
    for number, identifier in named.items():
        patch = PatchStep(
            space_id=base.space_id,
            at_ms=base.at_ms,
            step=step,
            import_id=f"imp_p{step}",
            audience_id="aud_0",
            operation="add",
            identifiers=[identifier],
        )
        await producer.send([Out(catalog.INPUT, None, encode(patch), headers("step"), number)])
