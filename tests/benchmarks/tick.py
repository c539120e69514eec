"""A tick on a membership service: a million of ten million identities expire, and their changes are committed."""

import time
from collections.abc import Collection
from typing import Final

from contracts.messages.results import Ticked
from services.domain.rows import Form, Identities
from services.tools.local_system import LocalSystem
from tests.benchmarks.fold_input import LOOKBACK_DAYS, random_values
from tests.benchmarks.folding_service import folding_service
from tests.benchmarks.measure import Measured, measured

CASES: Final = ("expiry",)
STAYING: Final = 9_000_000
EXPIRING: Final = 1_000_000
RUNS: Final = 5


async def tick(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """From the tick on the topic until all four partitions have committed it, `RUNS` times after one."""
    staying = Identities.of_bytes(Form.UUID, random_values(STAYING, 1))
    expiring = Identities.of_bytes(Form.UUID, random_values(EXPIRING, 2))
    seconds: list[float] = []
    cpu: list[float] = []
    async with folding_service(system, "bench-tick", checkpoints=True) as service:
        await service.append(staying, lookback_days=(RUNS + 2) * LOOKBACK_DAYS)
        for _ in range(RUNS + 1):
            await service.append(expiring, lookback_days=LOOKBACK_DAYS)
            began, before = time.monotonic(), service.cpu_seconds()
            await service.everywhere(service.input.tick(LOOKBACK_DAYS))
            await service.answered(Ticked)
            seconds.append(time.monotonic() - began)
            cpu.append(service.cpu_seconds() - before)
    milliseconds = [one * 1000 for one in seconds[1:]]
    return [measured("tick", "expiry", "a million expire", "ms", milliseconds, cpu[1:], better="lower")]
