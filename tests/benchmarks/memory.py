"""What memory members take.

`uuid` and `sha256`: RSS of a membership service over that of the same service when it was empty, after 10 M identities
were imported and after 2 M more. `300`: 10 M identities in 300 audiences, a tenth in each, as one partition in a
process of its own without a broker (`checkpoint`), since 300 M changes would measure the broker's disk; what is shown
is how much that process grew plus the RSS of an empty service, steady and at its most while a checkpoint is written.
"""

from collections.abc import Collection
from typing import Final

from services.domain.rows import Form, Identities
from services.tools.local_system import LocalSystem
from tests.benchmarks.checkpoint import child
from tests.benchmarks.fold_input import random_values
from tests.benchmarks.folding_service import folding_service
from tests.benchmarks.measure import Measured, measured

CASES: Final = ("uuid", "sha256", "300")
FORMS: Final = {"uuid": Form.UUID, "sha256": Form.HEX32}
FIRST: Final = 10_000_000
MORE: Final = 2_000_000
LOOKBACK_DAYS: Final = 365
RUNS: Final = 5
AUDIENCES: Final = 300
SHARE: Final = 0.1


async def memory(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """`RUNS` services for each form; five checkpoints of one state for `300`."""
    found: list[Measured] = []
    for case, form in FORMS.items():
        if case in cases:
            found += await _by_identity(system, case, form)
    if "300" in cases:
        found += await _of_many_audiences(system)
    return found


async def _by_identity(system: LocalSystem, case: str, form: Form) -> list[Measured]:
    values = Identities.of_bytes(form, random_values(FIRST + MORE, 1, form))
    parts = [values.part(0, FIRST), values.part(FIRST, FIRST + MORE)]
    bytes_each: dict[int, list[float]] = {FIRST: [], FIRST + MORE: []}
    cpu: list[float] = []
    for run in range(RUNS):
        async with folding_service(system, f"bench-memory-{case}-{run}", checkpoints=True) as service:
            for part, held in zip(parts, bytes_each, strict=True):
                await service.append(part, lookback_days=LOOKBACK_DAYS)
                bytes_each[held].append((service.rss_bytes() - service.empty_bytes) / held)
            cpu.append(service.cpu_seconds())
    return [
        measured("memory", case, f"RSS of an identity at {held / 1e6:g} M", "bytes", each, cpu, better="lower")
        for held, each in bytes_each.items()
    ]


async def _of_many_audiences(system: LocalSystem) -> list[Measured]:
    async with folding_service(system, "bench-memory-empty", checkpoints=True) as service:
        empty_bytes = service.empty_bytes
    held = await child(FIRST, AUDIENCES, SHARE, runs=RUNS)
    steady = [float(empty_bytes + one) for one in held.steady_rss_bytes[1:]]
    writing = [empty_bytes + one + more for one, more in zip(held.steady_rss_bytes, held.rss_bytes, strict=True)][1:]
    cpu = [used for _, used in held.write[1:]]
    return [
        measured("memory", "300", "RSS", "bytes", steady, cpu, better="lower"),
        measured("memory", "300", "RSS while writing a checkpoint", "bytes", writing, cpu, better="lower"),
    ]
