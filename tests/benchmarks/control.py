"""A control shard alone (but for the case `topics`), without a broker: commands in, replies and records out, in a space of 100,000 audiences.

Figures are CPU seconds of one process. What it leaves in the compacted topics is what others, each a process of its
own, are restored from. `python -m tests.benchmarks.control` is a quick look.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import psutil

from contracts import catalog, codec
from contracts.messages.control_state import ControlState
from contracts.messages.entities import CatalogueEntity
from contracts.records import Out, Record
from services.domain.control.effects import state_bytes
from services.domain.control.shard import ControlShard, restored
from services.runtime.lifecycle import calm_collector
from services.tools.local_system import LocalSystem
from tests.benchmarks.control_topics import through_topics
from tests.benchmarks.measure import Measured, measured, show
from tests.unit.domain.control.bench import START_MS, command, config

AUDIENCES: Final = 100_000
ACTIVATIONS: Final = 10_000
BULK: Final = 10_000  # items of a command
SINGLES: Final = 2_000
BATCH: Final = 500  # commands of a transaction, as the service takes them
RUNS: Final = 5
PAGES: Final[dict[str, dict[str, object]]] = {
    "page": {"offset": 50_000},
    "page of two filters": {"kind": "list", "category": ["c3", "c4"], "offset": 10_000},
    "page by name": {"sort": "-name", "offset": 10_000},
}
ALONE: Final = ("bulk", "single", *PAGES, "validate_only", "restart")
CASES: Final = (*ALONE, "topics")
TOPICS: Final = (catalog.CATALOGUE, catalog.CONTROL_STATE)
QUOTAS: Final = {"audiences": 1_000_000, "commands_a_second": 1_000_000}

C = TypeVar("C")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds: of a command of 10,000 items, of 2,000 commands of one, and of one command, by what it does."""

    bulk: dict[str, list[float]]
    single: dict[str, list[float]]
    asked: dict[str, list[float]]


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds` of CPU to decode and restore everything; `rss_bytes` of the process after that."""

    seconds: float
    rss_bytes: int


class Writing:
    """A shard that is fed by hand. `kept` is what its compacted topics would hold."""

    def __init__(self) -> None:
        self._shard = ControlShard(config())
        self._numbers = itertools.count()
        self.kept: dict[str, dict[bytes, bytes]] = {topic: {} for topic in TOPICS}

    def commands(self, type_: str, items: Iterable[list[dict[str, object]]], **data: Any) -> float:
        """CPU seconds of a command for each list of items; what makes and keeps records isn't measured."""
        records, seconds = [self._record(type_, one, data) for one in items], 0.0
        for first in range(0, len(records), BATCH):
            batch = records[first : first + BATCH]
            began = time.process_time()
            outs = [one for one in self._shard.handle(batch, START_MS) if isinstance(one, Out)]
            seconds += time.process_time() - began
            _check(outs)
            for out in outs:
                self._keep(out)
        return seconds

    def _record(self, type_: str, items: list[dict[str, object]], data: dict[str, Any]) -> Record:
        number = next(self._numbers)
        value = command(type_, items, id_=f"c-{number}", **data)
        return Record(catalog.COMMANDS, 0, number, START_MS, None, value, ())

    def _keep(self, out: Out) -> None:
        topic = self.kept.get(out.topic)
        if topic is not None and out.key is not None:
            if out.value is None:
                topic.pop(out.key, None)
            else:
                topic[out.key] = out.value


def _check(outs: list[Out]) -> None:
    """Every command is answered, and nothing of it failed."""
    for out in outs:
        assert out.topic != catalog.DEAD_LETTERS, out.headers
        if out.topic == catalog.REPLIES:
            assert b'"errors":[]' in (out.value or b""), (out.value or b"")[:500]


def _lists(first: int, count: int) -> list[dict[str, object]]:
    numbers = range(first, first + count)
    return [{"name": f"audience {one}", "id_type": "kuid", "category": f"c{one % 10}"} for one in numbers]


def measure(writing: Writing) -> Run:
    """Fills the space, and then asks."""
    writing.commands("spaces.create", [[{"quotas": QUOTAS, "clock": "manual", "time": "2026-01-01"}]])
    writing.commands("destinations.create", [[{"name": "d", "connector": "webhook", "settings": {"url": "u"}}]])
    made = [writing.commands("audiences.create", [_lists(first, BULK)]) for first in range(0, AUDIENCES, BULK)]
    names = [f"audience {number}" for number in range(AUDIENCES)]
    size = ACTIVATIONS // RUNS
    activations: list[list[dict[str, object]]] = [
        [{"audience": one, "destination": "d"} for one in names[first : first + size]]
        for first in range(0, ACTIVATIONS, size)
    ]
    updates: list[dict[str, object]] = [{"audience": one, "description": "new"} for one in names]
    members: list[dict[str, object]] = [{"audience": one, "identifiers": ["u1"]} for one in names]
    bulk = {
        "audiences.create": made[-RUNS:],
        "activations.create": [writing.commands("activations.create", [one]) for one in activations],
        "audiences.update": [writing.commands("audiences.update", [updates[:BULK]]) for _ in range(RUNS)],
    }
    ones = slice(-SINGLES, None)
    single = {
        "audiences.update": [
            writing.commands("audiences.update", [[one] for one in updates[ones]]) for _ in range(RUNS)
        ],
        "members.add": [writing.commands("members.add", [[one] for one in members[ones]]) for _ in range(RUNS)],
    }
    asked = {name: [_asked(writing, query, run) for run in range(RUNS + 1)][1:] for name, query in PAGES.items()}
    new: list[dict[str, object]] = [{"name": "new", "id_type": "kuid"}]
    asked["validate_only"] = [writing.commands("audiences.create", [new], validate_only=True) for _ in range(RUNS)]
    return Run(bulk=bulk, single=single, asked=asked)


def _asked(writing: Writing, query: dict[str, object], run: int) -> float:
    """CPU seconds of a search after a change."""
    writing.commands("audiences.update", [[{"audience": "audience 7", "category": f"c{run}"}]])
    return writing.commands("audiences.search", [[query]])


def restart(folder: Path) -> Restart:
    """From the bytes of the two topics, as the service decodes them."""
    catalogue, state = (msgspec.msgpack.decode((folder / one).read_bytes(), type=list[bytes]) for one in TOPICS)
    began = time.process_time()
    entities = [_decoded(one, CatalogueEntity) for one in catalogue]
    entries = [_decoded(state_bytes(one), ControlState) for one in state]
    shard = restored(config(), entities, entries)
    seconds = time.process_time() - began
    assert shard.due_ms() is None
    return Restart(seconds=seconds, rss_bytes=psutil.Process().memory_info().rss)


def _decoded(value: bytes, kind: Any) -> Any:
    return codec.decode(value, kind)


async def _child(kind: type[C], *arguments: str) -> C:
    command = (sys.executable, "-m", "tests.benchmarks.control", *arguments)
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    assert child.returncode == 0, child.returncode
    return msgspec.json.decode(said, type=kind)


async def control(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """A shard alone, and a whole system by its topics."""
    alone = [one for one in cases if one in ALONE]
    found = await shard_alone(alone) if alone else []
    return found + (await through_topics(system) if "topics" in cases else [])


async def shard_alone(cases: Collection[str]) -> list[Measured]:
    """One process that fills a space and is asked; `RUNS` that are restored."""
    with tempfile.TemporaryDirectory() as folder:
        run = await _child(Run, "--fill", folder)
        restarts = [await _child(Restart, "--restart", folder) for _ in range(RUNS if "restart" in cases else 0)]
    found = _rates("bulk", run.bulk, {"activations.create": ACTIVATIONS // RUNS}, BULK, "items/s")
    found += _rates("single", run.single, {}, SINGLES, "commands/s")
    for case, cpu in run.asked.items():
        milliseconds = [one * 1000 for one in cpu]
        found.append(measured("control", case, "one command", "ms", milliseconds, cpu, better="lower"))
    if restarts:
        cpu = [one.seconds for one in restarts]
        rss = [one.rss_bytes / 1e6 for one in restarts]
        found.append(measured("control", "restart", "decoded and restored", "s", cpu, cpu, better="lower"))
        found.append(measured("control", "restart", "RSS after it", "MB", rss, cpu, better="lower"))
    return [one for one in found if one.case in cases]


def _rates(case: str, seconds: dict[str, list[float]], sizes: dict[str, int], size: int, unit: str) -> list[Measured]:
    return [
        measured("control", case, metric, unit, [sizes.get(metric, size) / one for one in cpu], cpu)
        for metric, cpu in seconds.items()
    ]


def main() -> None:
    """A quick look."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fill", type=Path)
    parser.add_argument("--restart", type=Path)
    given = parser.parse_args()
    calm_collector()
    if given.fill is not None:
        writing = Writing()
        print(msgspec.json.encode(measure(writing)).decode())
        for topic, kept in writing.kept.items():
            (given.fill / topic).write_bytes(msgspec.msgpack.encode(list(kept.values())))
    elif given.restart is not None:
        print(msgspec.json.encode(restart(given.restart)).decode())
    else:
        show(asyncio.run(shard_alone(ALONE)), as_json=False)


if __name__ == "__main__":
    main()
