"""The benchmarks by name, as `usher bench` runs them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from services.tools.local_system import LocalSystem, local_system
from tests.benchmarks.checkpoint import checkpoint
from tests.benchmarks.end_to_end import end_to_end
from tests.benchmarks.fold import fold
from tests.benchmarks.fold_alone import fold_alone
from tests.benchmarks.measure import Measured, show

BENCHMARKS: Final[dict[str, Callable[[LocalSystem], Awaitable[list[Measured]]]]] = {
    "checkpoint": checkpoint,
    "end-to-end": end_to_end,
    "fold": fold,
    "fold-alone": fold_alone,
}


async def run(name: str, root: Path, *, as_json: bool) -> int:
    """Runs one benchmark, or `all`; exit 2 where there is none of that name."""
    chosen = list(BENCHMARKS) if name == "all" else [name]
    if unknown := [one for one in chosen if one not in BENCHMARKS]:
        print(f"no benchmark {unknown[0]!r}: {', '.join([*BENCHMARKS, 'all'])}")
        return 2
    async with local_system(root) as system:
        for one in chosen:
            show(await system.unless_a_child_dies(asyncio.ensure_future(BENCHMARKS[one](system))), as_json=as_json)
    return 0
