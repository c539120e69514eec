"""What composed audiences cost: one full refresh of 50 lists, with 300 audiences composed of them and without.

Both spaces are of one membership service, and each run refreshes both: the ratio is of one run. Each list holds a tenth
of a million identities; half of each is replaced. A composed audience is `a and b and not c` of three random lists: a
hundredth of the identities, so that what is measured is composing. Of larger ones the changes are the cost: theirs are
written at what the changes of any audience cost (`fold`).
"""

from collections.abc import Collection
from random import Random
from typing import Final

import numpy as np

from contracts.messages.entities import Expression
from services.domain.rows import Form, Identities
from services.tools.local_system import LocalSystem
from tests.benchmarks.fold_input import Input, Values, random_values
from tests.benchmarks.folding_service import Folding, folding_service
from tests.benchmarks.measure import Measured, measured

CASES: Final = ("300",)
LISTS: Final = tuple(f"aud_list_{number:02d}" for number in range(50))
COMPOSED: Final = 300
IDENTITIES: Final = 1_000_000
RUNS: Final = 5


async def composed(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """CPU seconds of the service with them over those without, `RUNS` runs after one."""
    values = random_values(IDENTITIES, 1)
    ratios: list[float] = []
    used: dict[str, list[float]] = {"plain": [], "composing": []}
    async with folding_service(system, "bench-composed", checkpoints=False) as service:
        plain, composing = (Input(name) for name in used)
        for steps in (plain, composing):
            for audience_id in LISTS:
                await service.everywhere(steps.definition(audience_id))
        for number, expression in enumerate(_expressions()):
            await service.everywhere(composing.definition(f"aud_composed_{number:03d}", expression))
        for run in range(RUNS + 2):  # the first fills the lists, the second isn't counted
            members = _members(values, run)
            cpu = {steps.space_id: await _refresh(service, steps, members) for steps in (plain, composing)}
            await service.forget()
            if run >= 2:
                ratios.append(cpu["composing"] / cpu["plain"])
                for name, seconds in cpu.items():
                    used[name].append(seconds)
    return [
        measured("composed", "300", "CPU over that without them", "ratio", ratios, used["composing"], better="lower"),
        measured(
            "composed", "300", "refresh of 50 lists", "CPU s", used["composing"], used["composing"], better="lower"
        ),
        measured("composed", "without", "refresh of 50 lists", "CPU s", used["plain"], used["plain"], better="lower"),
    ]


async def _refresh(service: Folding, steps: Input, members: dict[str, Identities]) -> float:
    """CPU seconds of the service."""
    import_id, opening = steps.opening("replace")
    before = service.cpu_seconds()
    await service.read(steps, import_id, opening, members)
    return service.cpu_seconds() - before


def _members(values: Values, run: int) -> dict[str, Identities]:
    """Of each list: half are those of the run before, half are others."""
    half = IDENTITIES // 20
    found = {}
    for number, audience_id in enumerate(LISTS):
        order = np.random.default_rng(number).permutation(IDENTITIES)
        chosen = np.take(order, np.arange(run * half, (run + 2) * half), mode="wrap")
        found[audience_id] = Identities.of_bytes(Form.UUID, values[chosen])
    return found


def _expressions() -> list[Expression]:
    random = Random(7)
    found = []
    for _ in range(COMPOSED):
        one, other, but = (Expression(audience=audience_id) for audience_id in random.sample(LISTS, 3))
        found.append(Expression(and_=[one, other, Expression(not_=but)]))
    return found
