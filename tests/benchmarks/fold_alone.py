"""The fold alone, without a broker: encoded records in, records out drained, one partition, one list audience.

A run is a process of its own, so that its memory is; figures are its CPU seconds, threads included.
`python -m tests.benchmarks.fold_alone --rows 1000000` is a quick look.
"""

import argparse
import asyncio
import statistics
import sys
import time
import uuid
from collections.abc import Collection, Iterable
from typing import Final

import msgspec
import numpy as np
import psutil

from contracts.catalog import INPUT
from contracts.records import Record
from services.domain.membership.partition import MembershipPartition
from services.domain.rows import Form, Identities
from services.membership.fold import LETTER
from services.tools.local_system import LocalSystem
from tests.benchmarks.fold_input import AUDIENCE, Input, Values, Written, random_values
from tests.benchmarks.measure import Measured, measured, show

ROWS: Final = 10_000_000
RUNS: Final = 5
CASES: Final = ("new", "same", "refresh", "patch", "patch of text", "import of one row")
SMALL: Final = 1_000  # patches, and imports of one row


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One process: CPU seconds of staging and of applying by case, bytes of RSS, CPU µs of small steps."""

    seconds: dict[str, tuple[float, float]]
    rss_bytes: int
    small_us: dict[str, list[float]]


async def fold_alone(_: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """`RUNS` runs after one that isn't counted."""
    found = _figures([await _child(ROWS) for _ in range(RUNS + 1)][1:], ROWS)
    return [one for one in found if one.case in cases]


class Folding:
    """A partition that is fed by hand; what it writes is drained and dropped."""

    def __init__(self) -> None:
        self._partition = MembershipPartition(0, partitions=1, results_partitions=1, dead_letter=LETTER)
        self._input = Input()
        self._offset = 0
        self._fold([self._input.definition()])

    def replace(self, values: Values) -> tuple[float, float]:
        """A full refresh by these identities: CPU seconds of staging and of applying."""
        import_id, opening = self._input.opening("replace")
        staging = self._fold([opening]) + self._fold(self._input.rows(import_id, _members(values)))
        return staging, self._fold([self._input.apply(import_id)])

    def append(self, values: Values) -> float:
        """An append of these identities: CPU seconds in all."""
        import_id, opening = self._input.opening("append")
        return self._fold([opening, *self._input.rows(import_id, _members(values)), self._input.apply(import_id)])

    def patch(self, identifier: str) -> float:
        """CPU seconds of a command that adds one identifier."""
        return self._fold([self._input.patch(identifier)])

    def _fold(self, written: Iterable[Written]) -> float:
        """Each record on its own: making it isn't measured."""
        seconds = 0.0
        for headers, value in written:
            self._offset += 1
            record = Record(INPUT, 0, self._offset, 0, b"bench", value, headers)
            began = time.process_time()
            for _ in self._partition.handle((record,), 0):
                pass
            seconds += time.process_time() - began
        return seconds


def _members(values: Values) -> dict[str, Identities]:
    return {AUDIENCE: Identities.of_bytes(Form.UUID, values)}


def refreshed(values: Values) -> Values:
    """Half of them with as many new ones, in an order of its own."""
    half = len(values) // 2
    mixed = np.concatenate([values[:half], random_values(len(values) - half, 2)])
    np.random.default_rng(3).shuffle(mixed)
    return mixed


def run(count: int) -> Run:
    """`new`, `same` and `refresh`; then small steps onto all that."""
    folding, process = Folding(), psutil.Process()
    values = random_values(count, 1)
    replaced = refreshed(values)
    empty_bytes = process.memory_info().rss
    seconds = {"new": folding.replace(values)}
    rss_bytes = process.memory_info().rss - empty_bytes
    seconds["same"] = folding.replace(values)
    seconds["refresh"] = folding.replace(replaced)
    small = random_values(2 * SMALL, 4)
    small_us = {
        "patch": [folding.patch(str(uuid.UUID(bytes=one.tobytes()))) * 1e6 for one in small[:SMALL]],
        "patch of text": [folding.patch(f"user-{number}") * 1e6 for number in range(SMALL)],
        "import of one row": [folding.append(small[at : at + 1]) * 1e6 for at in range(SMALL, 2 * SMALL)],
    }
    return Run(seconds=seconds, rss_bytes=rss_bytes, small_us=small_us)


async def _child(count: int) -> Run:
    command = (sys.executable, "-m", "tests.benchmarks.fold_alone", "--rows", str(count), "--child")
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    assert child.returncode == 0, child.returncode
    return msgspec.json.decode(said, type=Run)


def _figures(runs: list[Run], count: int) -> list[Measured]:
    found = []
    for case in runs[0].seconds:
        cpu = [sum(one.seconds[case]) for one in runs]
        found.append(measured("fold-alone", case, "rows per CPU second", "rows/s", [count / one for one in cpu], cpu))
        for index, stage in enumerate(("staging", "applying")):
            each = [one.seconds[case][index] for one in runs]
            nanoseconds = [one / count * 1e9 for one in each]
            found.append(measured("fold-alone", case, f"{stage} a row", "ns", nanoseconds, each, better="lower"))
    memory = [one.rss_bytes / count for one in runs]
    found.append(measured("fold-alone", "new", "RSS of an identity", "bytes", memory, [0.0], better="lower"))
    for case in runs[0].small_us:
        median = [statistics.median(one.small_us[case]) for one in runs]
        cpu = [sum(one.small_us[case]) / 1e6 for one in runs]
        found.append(measured("fold-alone", case, "CPU, median", "µs", median, cpu, better="lower"))
    return found


def main() -> None:
    """A quick look: `--rows`, `--runs`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", action="store_true")
    given = parser.parse_args()
    if given.child:
        print(msgspec.json.encode(run(given.rows)).decode())
        return

    async def runs() -> list[Run]:
        return [await _child(given.rows) for _ in range(given.runs)]

    show(_figures(asyncio.run(runs()), given.rows), as_json=False)


if __name__ == "__main__":
    main()
