"""A full refresh of ten million members that replaces half of them, beside the nightly script that it replaces.

From the answer to the put of a gz object until the import is applied, which is after the last of ten million changes was
committed; that they are ten million is counted afterwards. All four services, the broker and the S3 server are on this
machine. The scripts (`nightly`) read both files from the local disk, one after the other, while usher idles.
"""

import asyncio
import gzip
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np
import psutil

from contracts import catalog
from contracts.records import Record
from services.client import Follower
from services.domain.rows import Form, Identities
from services.tools.local_stack import PROJECT
from services.tools.local_system import LocalSystem
from services.tools.topics import SERVICES
from tests.benchmarks.fold_input import Values, random_values
from tests.benchmarks.measure import Measured, cpu_seconds_of, measured
from tests.benchmarks.spaces import Space, space_of

ROWS: Final = 10_000_000
RUNS: Final = 5
AUDIENCE: Final = "all"
SCRIPTS: Final = ("polars", "duckdb")
_LINES_AT_ONCE: Final = 1_000_000
_KIB: Final = 1024  # in which the system counts a child's peak


class Took(NamedTuple):
    """One run: CPU seconds and peak RSS of all processes that did the work."""

    seconds: float
    cpu_seconds: float
    rss_bytes: float


async def ten_million(system: LocalSystem) -> list[Measured]:
    """usher, Polars and DuckDB in turn, `RUNS` times after once that isn't counted."""
    took: dict[str, list[Took]] = {name: [] for name in ("usher", *SCRIPTS)}
    with TemporaryDirectory() as root:
        files = await asyncio.to_thread(_files, Path(root))
        async with space_of(system, "bench10m", audiences=[AUDIENCE]) as space:
            source = {"kind": "s3", "prefix": "bench10m/"}
            feed = {"name": "all", "source": source, "mode": "replace", "id_type": "user_id", "format": "caret"}
            await space.create("feeds.create", feed)
            bodies = [path.read_bytes() for path in files]
            await _put(system, space, bodies[1], "first")
            for run in range(RUNS + 1):
                took["usher"].append(await _refreshed(system, space, bodies[run % 2], f"run-{run}"))
                for script in SCRIPTS:
                    took[script].append(await _scripted(script, files))
    found = []
    for name, runs in took.items():
        case = "10m" if name == "usher" else f"10m {name}"
        cpu = [one.cpu_seconds for one in runs[1:]]
        seconds, peaks = [one.seconds for one in runs[1:]], [one.rss_bytes for one in runs[1:]]
        versions = {} if name == "usher" else {name: version(name)}
        for metric, unit, values in (("half of 10 M replaced", "s", seconds), ("peak RSS", "bytes", peaks)):
            found.append(measured("end-to-end", case, metric, unit, values, cpu, better="lower", versions=versions))
    return found


def _files(root: Path) -> tuple[Path, Path]:
    """Two gz files of ten million lines; they share half of their identities, in orders of their own."""
    values = random_values(ROWS + ROWS // 2, 1)
    paths = root / "one.gz", root / "other.gz"
    for number, path in enumerate(paths):
        part = values[number * (ROWS // 2) :][:ROWS]
        order = np.random.default_rng(number).permutation(ROWS)
        with gzip.open(path, "wb", compresslevel=1) as out:
            for first in range(0, ROWS, _LINES_AT_ONCE):
                out.write(_lines(part[order[first : first + _LINES_AT_ONCE]]))
    return paths


def _lines(values: Values) -> bytes:
    end = np.frombuffer(f"^{AUDIENCE}\n".encode(), dtype=np.uint8)
    text = Identities.of_bytes(Form.UUID, values).characters()
    return np.hstack([text, np.broadcast_to(end, (len(text), len(end)))]).tobytes()


async def _put(system: LocalSystem, space: Space, body: bytes, name: str) -> float:
    """Seconds from the answer to the put until the import is applied."""
    key = f"bench10m/{name}.gz"
    await system.objects.write(system.bucket, key, body, content_type="application/gzip")
    began = time.monotonic()
    await space.until(lambda: (one := space.observed.import_of(key)) is not None and one.state == "applied")
    return time.monotonic() - began


async def _refreshed(system: LocalSystem, space: Space, body: bytes, name: str) -> Took:
    counted = 0

    def count(record: Record) -> None:
        nonlocal counted
        _, _, members = (record.value or b"").partition(b'"members":[')
        counted += members.partition(b"]")[0].count(b",") + 1

    changes = await Follower.open(system.log, [catalog.CHANGES], count, from_end=True)
    try:
        before = cpu_seconds_of(system.pids)
        seconds, peak = await _watching(system, lambda: _put(system, space, body, name))
        used = cpu_seconds_of(system.pids) - before
        await changes.catch_up()
    finally:
        await changes.close()
    assert counted == ROWS, counted  # half entered, as many exited
    return Took(seconds, used, peak)


async def _watching(system: LocalSystem, work: Callable[[], Awaitable[float]]) -> tuple[float, float]:
    """The result of `work`, and the most RSS that the four services had together meanwhile."""
    services = [psutil.Process(system.pids[name]) for name in SERVICES]
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, sum(one.memory_info().rss for one in services))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        return await work(), float(peak)
    finally:
        watching.cancel()


async def _scripted(script: str, files: tuple[Path, Path]) -> Took:
    def run() -> Took:
        command = [sys.executable, "-m", "tests.benchmarks.nightly", script, *map(str, files)]
        began = time.monotonic()
        child = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = status  # waited for here: the system tells its peak only once
        assert (status, said.split()) == (0, [b"%d" % (ROWS // 2)] * 2), (status, said)
        return Took(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * _KIB)

    return await asyncio.to_thread(run)
