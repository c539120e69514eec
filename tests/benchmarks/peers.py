"""The peers' work, by usher and by each peer: JSON events in, who entered and exited out, durable and restorable.

usher reads them as a topic feed: intake and membership are measured together. A peer runs as its makers say, exactly
once where it can; one that can't be had on this machine is said to be missing. Rates are those of the steady state,
between a fifth and nine tenths of the output, so that starting up counts for nobody; the broker shares the cores.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import psutil

from contracts import catalog
from contracts.records import TopicPartition
from services.adapters.connect import open_kafka
from services.runtime.environment import load_settings
from services.runtime.log import Log
from services.tools.local_stack import PROJECT, say
from services.tools.local_system import LocalSystem
from tests.benchmarks.measure import Measured, measured
from tests.benchmarks.peer_events import AUDIENCES, PARTITIONS, Expected, make_topic, write_events
from tests.benchmarks.spaces import space_of

RUNS: Final = 5
BUILT: Final = PROJECT / ".usher" / "peers"
APPS: Final = PROJECT / "tests" / "benchmarks" / "peer_apps"
_WITHIN_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 0.1
_QUIET_LOOKS: Final = 15  # so long without output: it is done
_UV: Final = (str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--no-project", "--python", "3.11", "--with")


class Missing(Exception):  # noqa: N818 - it says what this machine has not
    """This peer can't be had here, and why."""


class Place(NamedTuple):
    """Where one run of a peer reads and writes; `name` is new for each run."""

    bootstrap: str
    source: str
    out: str
    name: str
    folder: Path


class Peer(NamedTuple):
    """How many events it is given, and what starts it: `prepare` (once, it may take long), then a command line."""

    version: str
    events: int
    prepare: Callable[[Path], Awaitable[None]]
    command: Callable[[Place], Sequence[str]]
    environment: Callable[[Place], Mapping[str, str]] = lambda _: {}


class Steady(NamedTuple):
    """The steady state of one run: CPU seconds are those of the processes and all that they started."""

    events_per_second: float
    cpu_seconds_per_million: float
    rss_bytes: float


async def peers(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """`RUNS` runs of each case, on new topics and with new state."""
    found: list[Measured] = []
    settings = load_settings()
    async with open_kafka(settings, client_id="bench", prefix="") as log:
        if "usher" in cases:
            found += _figures("usher", {}, await _usher(system, log, f"{settings.topic_prefix}.{catalog.CHANGES}"))
        for name, peer in PEERS.items():
            if name not in cases:
                continue
            try:
                found += _figures(
                    name, {name: peer.version}, await _peer(log, settings.kafka_bootstrap_servers, name, peer)
                )
            except Missing as missing:
                say(f"peers {name}: not measured: {missing}")
    return found


def _figures(case: str, versions: Mapping[str, str], runs: Sequence[Steady]) -> list[Measured]:
    cpu = [one.cpu_seconds_per_million for one in runs]
    by_cpu, by_clock = [1e6 / one for one in cpu], [one.events_per_second for one in runs]
    peaks = [one.rss_bytes for one in runs]
    return [
        measured("peers", case, "events per CPU second", "events/s", by_cpu, cpu, versions=versions),
        measured("peers", case, "events per second", "events/s", by_clock, cpu, versions=versions),
        measured("peers", case, "CPU of a million events", "CPU s", cpu, cpu, better="lower", versions=versions),
        measured("peers", case, "peak RSS", "bytes", peaks, cpu, better="lower", versions=versions),
    ]


async def _usher(system: LocalSystem, log: Log, out: str) -> list[Steady]:
    """Each run is a space with a feed of its own, which reads the topic from its beginning."""
    count = 2_000_000
    expected = await write_events(log, "events-for-usher", count, usher=True)
    pids = [system.pids[name] for name in ("intake", "membership")]
    runs: list[Steady] = []
    for run in range(RUNS + 1):
        async with space_of(system, f"peers-{run}", audiences=AUDIENCES) as space:
            source = {"kind": "topic", "topic": "events-for-usher"}

            def sizes() -> dict[str, int]:
                return {name: space.observed.size(name) for name in AUDIENCES}

            watching = asyncio.create_task(_steady(log, out, count, lambda: pids))
            await space.create(
                "feeds.create", {"name": "events", "source": source, "mode": "append", "id_type": "user_id"}
            )
            runs.append(await watching)
            await space.follower.catch_up()
            assert sizes() == expected.sizes, (sizes(), expected.sizes)
            await space.create("feeds.delete", {"name": "events"})
    return runs[1:]


async def _peer(log: Log, bootstrap: str, name: str, peer: Peer) -> list[Steady]:
    source = f"events-{peer.events}"
    runs: list[Steady] = []
    await peer.prepare(BUILT)
    expected = await write_events(log, source, peer.events, usher=False)
    for run in range(RUNS):
        with TemporaryDirectory() as folder:
            place = Place(bootstrap, source, f"{name}-out-{run}", f"{name}-{run}", Path(folder))
            runs.append(await _run(log, place, peer, expected))
    return runs


async def _run(log: Log, place: Place, peer: Peer, expected: Expected) -> Steady:
    await make_topic(log, place.out)
    with (place.folder / "log").open("wb") as said:
        child = await asyncio.create_subprocess_exec(
            *peer.command(place),
            env={**os.environ, **peer.environment(place)},
            cwd=place.folder,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        found = await _steady(log, place.out, peer.events, lambda: _tree(child, place), at_least=expected.changes)
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    records = await _records(log, place.out)
    assert records >= expected.changes, (records, expected.changes)  # at least once may say more
    return found


def _tree(child: asyncio.subprocess.Process, place: Place) -> list[int]:
    """The process and all that it started; raises `Missing` where it has ended by itself."""
    if child.returncode is not None:
        said = (place.folder / "log").read_text(errors="replace")
        raise Missing(f"it ended with {child.returncode}: {said[-300:]}")
    return [child.pid, *(one.pid for one in psutil.Process(child.pid).children(recursive=True))]


async def _steady(log: Log, out: str, events: int, pids: Callable[[], Sequence[int]], *, at_least: int = 1) -> Steady:
    """Watches the last stable offsets of the output until they said at least so much, and nothing comes any more."""
    places = [TopicPartition(out, partition) for partition in range(PARTITIONS)]
    points: list[tuple[float, int, float]] = []  # seconds, records out, CPU seconds
    peak = quiet = 0
    deadline = time.monotonic() + _WITHIN_SECONDS
    first = sum((await log.end_offsets(places, committed_only=True)).values())
    while quiet < _QUIET_LOOKS or points[-1][1] < at_least:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{out} did not end within {_WITHIN_SECONDS:.0f} s")
        await asyncio.sleep(_LOOK_SECONDS)
        written = sum((await log.end_offsets(places, committed_only=True)).values()) - first
        try:
            processes = [psutil.Process(pid) for pid in pids()]
            cpu = sum(sum(one.cpu_times()[:2]) for one in processes)
            peak = max(peak, sum(one.memory_info().rss for one in processes))
        except psutil.NoSuchProcess:
            continue  # one of them has just ended
        quiet = quiet + 1 if points and points[-1][1] == written else 0
        points.append((time.monotonic(), written, cpu))
    total = points[-1][1]
    low = next(point for point in points if point[1] >= 0.2 * total)
    high = next(point for point in points if point[1] >= 0.9 * total)
    seconds, share, cpu_seconds = high[0] - low[0], (high[1] - low[1]) / total, high[2] - low[2]
    return Steady(events * share / seconds, cpu_seconds / (events * share) * 1e6, float(peak))


async def _records(log: Log, topic: str) -> int:
    """How many committed records it holds."""
    places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    ends = await log.end_offsets(places, committed_only=True)
    reader = await log.reader(places)
    count = 0
    try:
        while any([await reader.position(place) < end for place, end in ends.items()]):
            count += len(await reader.read(timeout_seconds=0.5))
    finally:
        await reader.close()
    return count


async def _built(folder: Path) -> None:
    """Builds the Kafka Streams program, once."""
    if (folder / "kafka_streams" / "target" / "lib").is_dir():
        return
    if missing := [name for name in ("java", "mvn") if shutil.which(name) is None]:
        raise Missing(f"no {' and no '.join(missing)}")
    shutil.copytree(APPS / "kafka_streams", folder / "kafka_streams", dirs_exist_ok=True)
    await _succeeds(["mvn", "-q", "-B", "-f", str(folder / "kafka_streams"), "package"])


def _with(package: str) -> Callable[[Path], Awaitable[None]]:
    """Has uv make an environment of its own for the package, once."""

    async def prepare(_: Path) -> None:
        await _succeeds([*_UV, package, "python", "-c", ""])

    return prepare


async def _succeeds(command: Sequence[str]) -> None:
    pipe = asyncio.subprocess.PIPE
    try:
        child = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    except FileNotFoundError:
        raise Missing(f"no {command[0]}") from None
    said, _ = await child.communicate()
    if child.returncode:
        raise Missing(f"`{' '.join(command)}` ended with {child.returncode}: {said.decode(errors='replace')[-300:]}")


def _kafka_streams(place: Place) -> Sequence[str]:
    target = BUILT / "kafka_streams" / "target"
    classes = f"{target / 'kstreams.jar'}:{target / 'lib'}/*"
    given = [place.bootstrap, place.source, place.out, place.name, "1", "exactly_once_v2", str(place.folder), "-"]
    return ["java", "-Xmx1g", "-cp", classes, "peer.Member", *given, "rocksdb"]


def _quix(place: Place) -> Sequence[str]:
    app = str(APPS / "quix_app.py")
    return [*_UV, _QUIX, "python", app, place.bootstrap, place.source, place.out, place.name, str(place.folder)]


def _faust(place: Place) -> Sequence[str]:
    return [*_UV, _FAUST, "python", str(APPS / "faust_app.py"), "worker", "-l", "warn"]


def _faust_environment(place: Place) -> Mapping[str, str]:
    names = {"BOOTSTRAP": place.bootstrap, "IN": place.source, "OUT": place.out}
    return {**names, "APP": place.name, "STATE_DIR": str(place.folder)}


_QUIX: Final = "quixstreams==3.28.1"
_FAUST: Final = "faust-streaming==0.15.3"
PEERS: Final = {
    "kafka-streams": Peer("4.3.1", 2_000_000, _built, _kafka_streams),
    "quix": Peer("3.28.1", 500_000, _with(_QUIX), _quix),
    "faust": Peer("0.15.3", 50_000, _with(_FAUST), _faust, _faust_environment),
}
CASES: Final = ("usher", *PEERS)
