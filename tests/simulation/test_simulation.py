"""All services on the memory log, from one seed: whatever befalls them, once it ends every promise holds.

`SIMULATION_SEED=17 pytest tests/simulation` runs one seed, `SIMULATION_SEEDS=1000:2000` a range of them. A seed means the
same schedule only as long as the code is the same: whoever keeps a failure keeps the commit with it.
"""

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from contracts.records import Record
from services.adapters.memory import Act, partition
from services.adapters.memory.producers import MemoryTransactionalProducer
from services.domain.membership.checkpoint.load import Loading
from services.runtime.failures import Unavailable
from services.runtime.loops.lane import Lane
from services.runtime.loops.shared_member import SharedMember
from tests.simulation.laws import check
from tests.simulation.simulation import Plan, simulate

SEEDS = 16
CORPUS: Sequence[int] = ()


def seeds() -> Sequence[int]:
    if "SIMULATION_SEED" in os.environ:
        return [int(os.environ["SIMULATION_SEED"])]
    first, _, last = os.environ.get("SIMULATION_SEEDS", f"0:{SEEDS}").partition(":")
    return sorted({*range(int(first), int(last)), *CORPUS})


@pytest.mark.parametrize("seed", seeds())
def test_every_promise_holds_after_faults(seed: int) -> None:
    try:
        finished = simulate(seed)
        check(finished)
    except BaseException as error:
        error.add_note(f"to see it again: SIMULATION_SEED={seed} pytest tests/simulation -k promise")
        raise


def test_every_promise_holds_where_nothing_goes_wrong() -> None:
    check(simulate(0, Plan(faults=False)))


def test_the_same_seed_gives_the_same_bytes() -> None:
    once, again = digests(simulate(1).topics), digests(simulate(1).topics)

    assert once == again
    assert digests(simulate(2).topics) != once


def digests(topics: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    return {name: hashlib.sha256(repr(records).encode()).hexdigest() for name, records in topics.items()}


# Bugs planted in the broker, the loops and checkpoints: a simulation that misses them proves nothing.


def shows_aborted_records(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(partition, "_aborted", lambda entry: False)


def commits_before_it_delivers(patch: pytest.MonkeyPatch) -> None:
    handled = Lane._handled

    async def _turn(self: Lane, member: SharedMember, offset: int) -> int | None:
        if self._seated != self._tenure:
            return None
        records = await member.poll(self.partition, records_max=500, timeout_seconds=1.0)
        if not records:
            return offset
        await self._commit(member, records[-1].offset + 1)
        return records[-1].offset + 1 if await handled(self, records) else None

    patch.setattr(Lane, "_turn", _turn)


def fences_nobody(patch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def _request(self: MemoryTransactionalProducer, act: Act) -> AsyncIterator[None]:
        self._check_usable()
        try:
            await self._cluster.turn(self._client, act)
            yield
            self._cluster.acknowledge(self._client, act)
        except Unavailable:
            self._usable = False
            raise

    patch.setattr(MemoryTransactionalProducer, "_request", _request)


def loads_checkpoints_empty(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Loading, "into", lambda self, partition: None)


# The first seed to try is the one that found it last: a broken run is a long one.
@pytest.mark.parametrize(
    ("plant", "first"),
    [(shows_aborted_records, 0), (commits_before_it_delivers, 1), (fences_nobody, 1), (loads_checkpoints_empty, 0)],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    assert any(is_broken(seed) for seed in range(first, SEEDS))


def is_broken(seed: int) -> bool:
    try:
        check(simulate(seed))
    except (AssertionError, LookupError):
        return True
    return False
