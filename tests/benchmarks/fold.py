"""The fold as it runs: row batches on the topic in, changes committed in transactions out, by a membership service.

Each run is a service of its own; checkpoints are written as by default, to the S3 server beside it. The broker and that
server share the cores with it.
"""

from collections.abc import Collection
from typing import Final

from services.domain.rows import Form, Identities
from services.tools.local_system import LocalSystem
from tests.benchmarks.fold_alone import refreshed
from tests.benchmarks.fold_input import random_values
from tests.benchmarks.folding_service import folding_service
from tests.benchmarks.measure import Measured, measured

ROWS: Final = 10_000_000
RUNS: Final = 5
FILES: Final = ("new", "same", "refresh")
WITHOUT: Final = " without checkpoints"
CASES: Final = (*FILES, *(file + WITHOUT for file in FILES))


async def fold(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """`new`, `same` and `refresh`, one after the other, `RUNS` runs each after one that isn't counted."""
    values = random_values(ROWS, 1)
    files = {"new": values, "same": values, "refresh": refreshed(values)}
    columns = {file: Identities.of_bytes(Form.UUID, one) for file, one in files.items()}
    found: list[Measured] = []
    for checkpoints in (True, False):
        wanted = [file for file in FILES if file + ("" if checkpoints else WITHOUT) in cases]
        if wanted:
            found += await _runs(system, columns, wanted, checkpoints=checkpoints)
    return found


async def _runs(
    system: LocalSystem, columns: dict[str, Identities], wanted: list[str], *, checkpoints: bool
) -> list[Measured]:
    """All files up to the last that is wanted: each stands on the one before."""
    files = FILES[: FILES.index(wanted[-1]) + 1]
    cpu: dict[str, list[float]] = {file: [] for file in files}
    wall: dict[str, list[float]] = {file: [] for file in files}
    for run in range(RUNS + 1):
        name = f"bench-fold-{'with' if checkpoints else 'without'}-{run}"
        async with folding_service(system, name, checkpoints=checkpoints) as service:
            for file in files:
                used, seconds = await service.replace(columns[file])
                if run:
                    cpu[file].append(used)
                    wall[file].append(seconds)
    found = []
    for file in wanted:
        case = file if checkpoints else file + WITHOUT
        by_cpu, by_clock = ([ROWS / one for one in each] for each in (cpu[file], wall[file]))
        found.append(measured("fold", case, "rows per CPU second", "rows/s", by_cpu, cpu[file]))
        found.append(measured("fold", case, "rows per second", "rows/s", by_clock, cpu[file]))
    return found
