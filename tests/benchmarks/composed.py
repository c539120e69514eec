"""What composed audiences cost: one full refresh of 50 lists, with 300 audiences composed of them and without.

Both spaces are of one membership service, and each run refreshes both: the ratio is of one run. Each list holds a tenth
of a million identities; half of each is replaced. A composed audience is `a and b and not c` of three random lists: a
hundredth of the identities, so that what is measured is composing. Of larger ones the changes are the cost: theirs are
written at what the changes of any audience cost (`fold`).

`members` is the same of commands: identifiers that are new are added to one list after the other, by a partition that is
fed by hand, without a broker.
"""

import asyncio
import time
import uuid
from collections.abc import Collection
from random import Random
from typing import Final

import numpy as np

from contracts.catalog import INPUT
from contracts.messages.entities import Expression
from contracts.records import Record
from services.domain.membership.partition import MembershipPartition
from services.domain.rows import Form, Identities
from services.membership.fold import LETTER
from services.tools.local_system import LocalSystem
from tests.benchmarks.fold_input import Input, Values, Written, random_values
from tests.benchmarks.folding_service import Folding, folding_service
from tests.benchmarks.measure import Measured, measured

CASES: Final = ("300", "members")
LISTS: Final = tuple(f"aud_list_{number:02d}" for number in range(50))
COMPOSED: Final = 300
IDENTITIES: Final = 1_000_000
RUNS: Final = 5
ADDED: Final = {1: 500, 1_000: 50}  # identifiers of a command: commands of a run


async def composed(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """CPU seconds with them over those without, `RUNS` runs after one."""
    found = await _refreshes(system) if "300" in cases else []
    return found + (await asyncio.to_thread(_commands) if "members" in cases else [])


async def _refreshes(system: LocalSystem) -> list[Measured]:
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


def _commands() -> list[Measured]:
    """Of commands of one identifier, and of a thousand."""
    found: list[Measured] = []
    plain, composing = _Fed([]), _Fed(_expressions())
    lists = _members(random_values(IDENTITIES, 1), 0)
    for fed in (plain, composing):
        fed.fill(lists)
    for size, commands in ADDED.items():
        ratios: list[float] = []
        used: list[float] = []
        for run in range(RUNS + 1):
            new = random_values(size * commands, 100 * size + run)
            without, with_them = plain.add(new, size), composing.add(new, size)
            if run:
                ratios.append(with_them / without)
                used.append(with_them)
        each = [one / commands * 1e6 for one in used]
        metric = f"a command of {size:,}"
        found.append(
            measured("composed", "members", f"{metric}: CPU over that without", "ratio", ratios, used, better="lower")
        )
        found.append(measured("composed", "members", metric, "CPU µs", each, used, better="lower"))
    return found


class _Fed:
    """A partition with the lists, and audiences composed of them."""

    def __init__(self, expressions: list[Expression]) -> None:
        self._partition = MembershipPartition(0, partitions=1, results_partitions=1, dead_letter=LETTER)
        self._input = Input()
        self._offset = 0
        for audience_id in LISTS:
            self._fold(self._input.definition(audience_id))
        for number, expression in enumerate(expressions):
            self._fold(self._input.definition(f"aud_composed_{number:03d}", expression))

    def fill(self, members: dict[str, Identities]) -> None:
        """A full refresh of every list."""
        import_id, opening = self._input.opening("replace")
        for written in (opening, *self._input.rows(import_id, members), self._input.apply(import_id, members)):
            self._fold(written)

    def add(self, values: Values, size: int) -> float:
        """CPU seconds of commands that add so many each, to one list after the other."""
        seconds = 0.0
        for number, first in enumerate(range(0, len(values), size)):
            identifiers = [str(uuid.UUID(bytes=one.tobytes())) for one in values[first : first + size]]
            seconds += self._fold(self._input.patch(*identifiers, audience_id=LISTS[number % len(LISTS)]))
        return seconds

    def _fold(self, written: Written) -> float:
        """CPU seconds; making the record isn't measured."""
        headers, value = written
        self._offset += 1
        record = Record(INPUT, 0, self._offset, 0, b"bench", value, headers)
        began = time.process_time()
        for _ in self._partition.handle((record,), 0):
            pass
        return time.process_time() - began


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
