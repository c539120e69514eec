"""The benchmarks by name, as `usher bench` runs them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

from services.tools.local_system import LocalSystem, local_system
from tests.benchmarks import (
    checkpoint,
    composed,
    connectors,
    control,
    end_to_end,
    fold,
    fold_alone,
    ingest,
    lanes,
    latency,
    memory,
    peers,
    restart,
    tick,
)
from tests.benchmarks.measure import Measured, show


class Benchmark(NamedTuple):
    """`run` measures the cases that it is given, some of `cases`."""

    run: Callable[[LocalSystem, Collection[str]], Awaitable[list[Measured]]]
    cases: tuple[str, ...]


BENCHMARKS: Final[dict[str, Benchmark]] = {
    "checkpoint": Benchmark(checkpoint.checkpoint, checkpoint.CASES),
    "composed": Benchmark(composed.composed, composed.CASES),
    "connectors": Benchmark(connectors.connectors, connectors.CASES),
    "control": Benchmark(control.control, control.CASES),
    "end-to-end": Benchmark(end_to_end.end_to_end, end_to_end.CASES),
    "fold": Benchmark(fold.fold, fold.CASES),
    "fold-alone": Benchmark(fold_alone.fold_alone, fold_alone.CASES),
    "ingest": Benchmark(ingest.ingest, ingest.CASES),
    "lanes": Benchmark(lanes.lanes, lanes.CASES),
    "latency": Benchmark(latency.latency, latency.CASES),
    "memory": Benchmark(memory.memory, memory.CASES),
    "peers": Benchmark(peers.peers, peers.CASES),
    "restart": Benchmark(restart.restart, restart.CASES),
    "tick": Benchmark(tick.tick, tick.CASES),
}


async def run(name: str, root: Path, *, case: str | None, as_json: bool) -> int:
    """Runs one benchmark, or `all`; exit 2 where there is none of that name, or no such case of it."""
    chosen = list(BENCHMARKS) if name == "all" else [name]
    if unknown := [one for one in chosen if one not in BENCHMARKS]:
        print(f"no benchmark {unknown[0]!r}: {', '.join([*BENCHMARKS, 'all'])}")
        return 2
    if case is not None and any(case not in BENCHMARKS[one].cases for one in chosen):
        print(f"no case {case!r} of {name}: {', '.join(BENCHMARKS[chosen[0]].cases)}")
        return 2
    async with local_system(root) as system:
        for one in chosen:
            benchmark = BENCHMARKS[one]
            measuring = asyncio.ensure_future(benchmark.run(system, benchmark.cases if case is None else (case,)))
            show(await system.unless_a_child_dies(measuring), as_json=as_json)
    return 0
