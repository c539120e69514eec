"""A checkpoint of one partition: how long folding waits for the copy, how long it takes to write and to load.

One child process builds the state; its object store is a folder, so that figures are those of usher and of nobody's
network. `python -m tests.benchmarks.checkpoint --identities 1000000` is a quick look.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import psutil

from contracts.catalog import INPUT, TopicSpec
from contracts.codec import encode, event_headers
from contracts.instants import instant_text
from contracts.messages.intake import ObjectVersion
from contracts.messages.steps import (
    DefinitionStep,
    ImportApplyStep,
    ImportOpenStep,
    RowsHeader,
    Seal,
    Step,
    TickStep,
)
from contracts.records import Out, Record, TopicPartition
from services.adapters.memory import MemoryBroker
from services.domain.membership.checkpoint.take import take
from services.domain.rows import Form, Identities, RowBatch, encode_rows, write_rows_header
from services.membership.checkpoint_store import CheckpointStore
from services.membership.checkpointing import Checkpointing, Pace
from services.membership.fold import PartitionFold
from services.membership.loading import CheckpointLoader
from services.runtime.clock import SystemClock
from services.runtime.log import Log
from services.tools.local_system import LocalSystem
from tests.benchmarks.measure import Measured, measured, show

IDENTITIES: Final = 10_000_000
AUDIENCES: Final = 10
SHARE: Final = 0.5  # of the identities in each audience, at random: its bitmap is as large as it can be
RUNS: Final = 5
CASES: Final = ("10m x 10",)
BATCH_ROWS: Final = 48_000
SPACE, ID_TYPE, DAY, AT_MS = "bench", "user_id", "2026-11-23", 1_795_392_000_000
PLACE: Final = TopicPartition(INPUT, 0)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Each figure as (wall seconds, CPU seconds); `rss_bytes` at the most, above what the state has, while writing.

    `steady_rss_bytes`: of the process before each writing, above what it had without any state.
    """

    take: list[tuple[float, float]] = []
    write: list[tuple[float, float]] = []
    load: list[tuple[float, float]] = []
    rss_bytes: list[float] = []
    steady_rss_bytes: list[float] = []
    size_bytes: int = 0
    state_rss_bytes: int = 0


async def checkpoint(_: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """`RUNS` times written and loaded, after once that isn't counted."""
    return _figures(await child(IDENTITIES, AUDIENCES, SHARE), IDENTITIES, AUDIENCES)


class Folder:
    """Implements `OwnedObjects` for one writer: an object is a file."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def stat(
        self, bucket: str, key: str, *, version_id: str | None = None, etag: str | None = None
    ) -> ObjectVersion:
        return self._version(bucket, self._root / bucket / key)

    async def read(self, version: ObjectVersion, *, chunk_bytes: int) -> AsyncIterator[bytes]:
        yield await asyncio.to_thread((self._root / version.bucket / version.key).read_bytes)

    async def write(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        path = self._root / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(path.write_bytes, body)

    async def list_prefix(self, bucket: str, prefix: str) -> AsyncIterator[ObjectVersion]:
        for path in sorted((self._root / bucket / prefix).rglob("*")):
            if path.is_file():
                yield self._version(bucket, path)

    async def remove(self, bucket: str, key: str) -> None:
        (self._root / bucket / key).unlink(missing_ok=True)

    async def close(self) -> None:
        """Nothing is held."""

    def _version(self, bucket: str, path: Path) -> ObjectVersion:
        key = str(path.relative_to(self._root / bucket))
        return ObjectVersion(bucket=bucket, key=key, etag="", size_bytes=path.stat().st_size)


class Building:
    """Folds a full refresh of each audience, without any log."""

    def __init__(self) -> None:
        self.fold = fresh()
        self.step = 0

    def build(self, identities: int, audiences: int, share: float) -> None:
        """The first audience has all, so that each identity is known."""
        random = np.random.default_rng(1)
        values = np.frombuffer(random.bytes(16 * identities), dtype=np.uint8).reshape(-1, 16)
        self.replace("aud_all", values)
        for number in range(1, audiences):
            self.replace(f"aud_{number}", values[random.random(identities) < share])

    def replace(self, audience_id: str, values: "np.ndarray[Any, np.dtype[np.uint8]]") -> None:
        named: dict[str, Any] = {"import_id": f"imp_{audience_id}"}
        self.take(DefinitionStep(**self.next(), audience_id=audience_id, kind="list", id_type=ID_TYPE))
        opening = ImportOpenStep(
            **self.next(),
            **named,
            feed_id="f",
            mode="replace",
            day=DAY,
            event_time_ms=1,
            object_key="k",
            id_type=ID_TYPE,
        )
        self.take(opening)
        batches = range(0, len(values), BATCH_ROWS)
        for sequence, start in enumerate(batches):
            part = values[start : start + BATCH_ROWS]
            batch = RowBatch(Identities.of_bytes(Form.UUID, part), np.zeros(len(part), dtype=np.uint32), [audience_id])
            said = RowsHeader(space_id=SPACE, **named, reading_id="r", sequence=sequence, id_type=ID_TYPE)
            self.handle(Record(INPUT, self.fold.number, 0, 0, None, encode_rows(batch), write_rows_header(said)))
        seal = Seal(space_id=SPACE, **named, reading_id="r", batches=len(batches), rows=len(values))
        self.handle(Record(INPUT, self.fold.number, 0, 0, None, encode(seal), headers("seal")))
        self.take(ImportApplyStep(**self.next(), **named, reading_id="r", audiences=[audience_id]))

    def take(self, step: Step) -> None:
        self.handle(Record(INPUT, self.fold.number, 0, 0, None, encode(step), headers("step")))

    def handle(self, record: Record) -> None:
        for _ in self.fold.handle([record], 0):
            pass

    def next(self) -> dict[str, Any]:
        self.step += 1
        return {"space_id": SPACE, "step": self.step, "at_ms": AT_MS}


def fresh() -> PartitionFold:
    return PartitionFold(0, partitions=1, results_partitions=1)


def headers(kind: str) -> Any:
    return event_headers(id="1", source="/bench", type=kind, space_id=SPACE, time=instant_text(AT_MS))


@contextmanager
def timed(into: list[tuple[float, float]]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    into.append((time.perf_counter() - wall, time.process_time() - cpu))


@contextmanager
def peak(into: list[float]) -> Iterator[None]:
    """The most that RSS rises above where it began, looked at every few milliseconds."""
    process, ended = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.005):
            most = max(most, process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    yield
    ended.set()
    watching.join()
    into.append(most - before)


async def run(identities: int, audiences: int, share: float, runs: int) -> Run:
    process, building, found = psutil.Process(), Building(), Run()
    empty_bytes = process.memory_info().rss
    building.build(identities, audiences, share)
    state_rss_bytes = process.memory_info().rss - empty_bytes
    clock, log = SystemClock(), MemoryBroker().connect("bench")
    await log.ensure_topic(
        TopicSpec(name=INPUT, partitions=1, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20)
    )
    with tempfile.TemporaryDirectory() as root:
        store = CheckpointStore(Folder(Path(root)), "bucket", "state")
        pace = Pace(input_bytes=1, seconds=1.0)
        writing = Checkpointing(log, store, pace, clock=clock, offload=asyncio.to_thread)
        for _ in range(runs + 1):
            offset = await _one_more(log, building)
            found.steady_rss_bytes.append(process.memory_info().rss - empty_bytes)
            with timed(found.take), tempfile.TemporaryFile() as spool:
                take(building.fold.partition, spool.write)
            with peak(found.rss_bytes), timed(found.write):
                await writing.last(building.fold, offset)
            assert building.fold.progress.saved_offset == offset
        size_bytes = building.fold.progress.saved_bytes
        del building
        loader = CheckpointLoader(log, store, clock=clock, offload=asyncio.to_thread)
        for _ in range(runs + 1):
            fold = fresh()
            with timed(found.load):
                assert await loader.load(fold, PLACE, offset) == offset
            del fold
    return msgspec.structs.replace(found, size_bytes=size_bytes, state_rss_bytes=state_rss_bytes)


async def _one_more(log: Log, building: Building) -> int:
    """The log needs the record behind which the checkpoint is taken."""
    tick = TickStep(**building.next())
    producer = await log.producer()
    await producer.send([Out(INPUT, None, encode(tick), headers("step"), 0)])
    (end,) = (await log.end_offsets([PLACE])).values()
    building.handle(Record(INPUT, 0, end - 1, 0, None, encode(tick), headers("step")))
    return end


async def child(identities: int, audiences: int, share: float, *, runs: int = RUNS) -> Run:
    """One partition with so many identities and audiences, in a process of its own."""
    command = (sys.executable, "-m", "tests.benchmarks.checkpoint", "--child")
    given = ("--identities", str(identities), "--audiences", str(audiences), "--share", str(share), "--runs", str(runs))
    child = await asyncio.create_subprocess_exec(*command, *given, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    assert child.returncode == 0, child.returncode
    return msgspec.json.decode(said.splitlines()[-1], type=Run)


def _figures(one: Run, identities: int, audiences: int) -> list[Measured]:
    case = f"{identities / 1e6:g}m x {audiences}"
    found = []
    for metric, times in (("copy: folding waits", one.take), ("write", one.write), ("load", one.load)):
        walls, cpu = [wall * 1000 for wall, _ in times[1:]], [cpu for _, cpu in times[1:]]
        found.append(measured("checkpoint", case, metric, "ms", walls, cpu, better="lower"))
    cpu = [statistics.median(cpu for _, cpu in one.write)]
    found.append(measured("checkpoint", case, "size", "bytes", [one.size_bytes], cpu, better="lower"))
    rss = one.rss_bytes[1:]
    found.append(measured("checkpoint", case, "RSS while writing", "bytes", rss, cpu, better="lower"))
    found.append(measured("checkpoint", case, "RSS of the state", "bytes", [one.state_rss_bytes], cpu, better="lower"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--identities", type=int, default=1_000_000)
    parser.add_argument("--audiences", type=int, default=AUDIENCES)
    parser.add_argument("--share", type=float, default=SHARE)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--child", action="store_true")
    given = parser.parse_args()
    if given.child:
        print(
            msgspec.json.encode(asyncio.run(run(given.identities, given.audiences, given.share, given.runs))).decode()
        )
        return
    found = asyncio.run(child(given.identities, given.audiences, given.share, runs=given.runs))
    show(_figures(found, given.identities, given.audiences), as_json=False)


if __name__ == "__main__":
    main()
