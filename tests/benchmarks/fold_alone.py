"""The fold alone, without a broker: encoded records in, records out drained, one partition, one list audience.

A run is a process of its own, so that its memory is; figures are its CPU seconds, threads included.
`python -m tests.benchmarks.fold_alone --rows 1000000` is a quick look at one machine's noise.
"""

import argparse
import asyncio
import statistics
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import psutil

from contracts.catalog import INPUT
from contracts.codec import Headers, encode, event_headers
from contracts.instants import instant_text
from contracts.messages.steps import (
    DefinitionStep,
    ImportApplyStep,
    ImportOpenStep,
    PatchStep,
    RowsHeader,
    Seal,
    Step,
)
from contracts.records import Record
from services.domain.membership.partition import MembershipPartition
from services.domain.rows import Form, Identities, RowBatch, encode_rows, write_rows_header
from services.tools.local_system import LocalSystem
from tests.benchmarks.measure import Measured, measured, show

ROWS: Final = 10_000_000
RUNS: Final = 5
BATCH_ROWS: Final = 48_000
SMALL: Final = 1_000  # patches, and imports of one row
SPACE, AUDIENCE, ID_TYPE, DAY, AT_MS = "bench", "aud_bench", "user_id", "2026-11-23", 1_795_392_000_000

Values = npt.NDArray[np.uint8]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One process: CPU seconds of staging and of applying by case, bytes of RSS, CPU µs of small steps."""

    seconds: dict[str, tuple[float, float]]
    rss_bytes: int
    small_us: dict[str, list[float]]


async def fold_alone(_: LocalSystem) -> list[Measured]:
    """`RUNS` runs after one that isn't counted."""
    return _figures([await _child(ROWS) for _ in range(RUNS + 1)][1:], ROWS)


def uuids(count: int, seed: int) -> Values:
    """(count, 16) random bytes."""
    return np.frombuffer(np.random.default_rng(seed).bytes(16 * count), dtype=np.uint8).reshape(-1, 16)


class Folding:
    """A partition that is fed by hand; what it writes is drained and dropped."""

    def __init__(self) -> None:
        self._partition = MembershipPartition(0, partitions=1, results_partitions=1)
        self._offset = 0
        self._step = 0
        self._imports = 0
        self.take(DefinitionStep(**self._next(), audience_id=AUDIENCE, kind="list", id_type=ID_TYPE))

    def replace(self, values: Values) -> tuple[float, float]:
        """A full refresh by these identities: CPU seconds of staging and of applying."""
        return self._imported("replace", values, None)

    def append(self, values: Values) -> float:
        """An append of these identities: CPU seconds in all."""
        return sum(self._imported("append", values, 30))

    def patch(self, identifier: str) -> float:
        """CPU seconds of a command that adds one identifier."""
        step = self._next()
        import_id = f"imp_p{self._step}"
        return self.take(
            PatchStep(**step, import_id=import_id, audience_id=AUDIENCE, operation="add", identifiers=[identifier])
        )

    def take(self, step: Step) -> float:
        return self._fold([self._record("step", encode(step))])

    def _imported(self, mode: Any, values: Values, lookback_days: int | None) -> tuple[float, float]:
        self._imports += 1
        named: dict[str, Any] = {"import_id": f"imp_{self._imports}"}
        opening = ImportOpenStep(
            **self._next(),
            **named,
            feed_id="feed",
            mode=mode,
            day=DAY,
            event_time_ms=self._imports,
            object_key="k",
            lookback_days=lookback_days,
            id_type=ID_TYPE,
        )
        batches = -(-len(values) // BATCH_ROWS)
        seal = Seal(space_id=SPACE, **named, reading_id="r", batches=batches, rows=len(values))
        apply = ImportApplyStep(**self._next(), **named, reading_id="r", audiences=[AUDIENCE])
        staging = self.take(opening)
        staging += self._fold(self._rows(named["import_id"], values))
        return staging + self._fold([self._record("seal", encode(seal))]), self.take(apply)

    def _rows(self, import_id: str, values: Values) -> Iterator[Record]:
        for sequence, start in enumerate(range(0, len(values), BATCH_ROWS)):
            part = values[start : start + BATCH_ROWS]
            batch = RowBatch(Identities.of_bytes(Form.UUID, part), np.zeros(len(part), dtype=np.uint32), [AUDIENCE])
            said = RowsHeader(space_id=SPACE, import_id=import_id, reading_id="r", sequence=sequence, id_type=ID_TYPE)
            yield self._made(encode_rows(batch), write_rows_header(said))

    def _next(self) -> dict[str, Any]:
        self._step += 1
        return {"space_id": SPACE, "step": self._step, "at_ms": AT_MS}

    def _record(self, kind: str, value: bytes) -> Record:
        time_text = instant_text(AT_MS)
        return self._made(
            value, event_headers(id=f"{self._offset}", source="/bench", type=kind, space_id=SPACE, time=time_text)
        )

    def _made(self, value: bytes, headers: Headers) -> Record:
        self._offset += 1
        return Record(INPUT, 0, self._offset, 0, SPACE.encode(), value, headers)

    def _fold(self, records: Iterable[Record]) -> float:
        """Each on its own: making them isn't measured."""
        seconds = 0.0
        for record in records:
            began = time.process_time()
            for _ in self._partition.handle((record,), 0):
                pass
            seconds += time.process_time() - began
        return seconds


def run(rows: int) -> Run:
    """`new`, `same` and `refresh`, which replaces half in an order of its own; then small steps onto all that."""
    folding, process = Folding(), psutil.Process()
    values = uuids(rows, 1)
    refreshed = np.concatenate([values[: rows // 2], uuids(rows - rows // 2, 2)])
    np.random.default_rng(3).shuffle(refreshed)
    empty_bytes = process.memory_info().rss
    seconds = {"new": folding.replace(values)}
    rss_bytes = process.memory_info().rss - empty_bytes
    seconds["same"] = folding.replace(values)
    seconds["refresh"] = folding.replace(refreshed)
    small = uuids(3 * SMALL, 4)
    small_us = {
        "patch": [folding.patch(str(uuid.UUID(bytes=one.tobytes()))) * 1e6 for one in small[:SMALL]],
        "patch of text": [folding.patch(f"user-{number}") * 1e6 for number in range(SMALL)],
        "import of one row": [folding.append(small[at : at + 1]) * 1e6 for at in range(SMALL, 2 * SMALL)],
    }
    return Run(seconds=seconds, rss_bytes=rss_bytes, small_us=small_us)


async def _child(rows: int) -> Run:
    command = (sys.executable, "-m", "tests.benchmarks.fold_alone", "--rows", str(rows), "--child")
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    assert child.returncode == 0, child.returncode
    return msgspec.json.decode(said, type=Run)


def _figures(runs: list[Run], rows: int) -> list[Measured]:
    found = []
    for case in runs[0].seconds:
        cpu = [sum(one.seconds[case]) for one in runs]
        found.append(measured("fold-alone", case, "rows per CPU second", "rows/s", [rows / one for one in cpu], cpu))
        for index, stage in enumerate(("staging", "applying")):
            each = [one.seconds[case][index] for one in runs]
            nanoseconds = [one / rows * 1e9 for one in each]
            found.append(measured("fold-alone", case, f"{stage} a row", "ns", nanoseconds, each, better="lower"))
    memory = [one.rss_bytes / rows for one in runs]
    found.append(measured("fold-alone", "new", "RSS of an identity", "bytes", memory, [0.0], better="lower"))
    for case in runs[0].small_us:
        median = [statistics.median(one.small_us[case]) for one in runs]
        cpu = [sum(one.small_us[case]) / 1e6 for one in runs]
        found.append(measured("fold-alone", case, "CPU, median", "µs", median, cpu, better="lower"))
    return found


def main() -> None:
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
