"""One transaction for what several shards of a worker have ready at once (a database would call it group commit).

Owns who goes with whom and what follows from a failure; `shard` decides what it hands in. Why it is exactly once all
the same: `services/decisions/0041-joint-transactions.md`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from contracts.records import Out, TopicPartition
from services.runtime.clock import Clock
from services.runtime.failures import Fenced, Unavailable
from services.runtime.log import Membership, TransactionalProducer
from services.runtime.waiting import unless

GATHER_SECONDS: Final = 0.004  # how long a transaction waits for shards that are folding: less than what it costs


@dataclass(slots=True, eq=False)
class Part:
    """What one shard puts into a transaction. `offsets` are never empty: by them the broker checks the member."""

    shard: int
    producer: TransactionalProducer
    outs: Sequence[Out]
    offsets: Mapping[TopicPartition, int]
    outcome: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class JointTransactions:
    """Those of one worker under one assignment, one at a time, each by the producer of one of its parts."""

    def __init__(self, shards: int, clock: Clock) -> None:
        self._shards = shards
        self._clock = clock
        self._turn = asyncio.Lock()
        self._waiting: list[Part] = []
        self._busy: set[int] = set()
        self._changed = asyncio.Event()
        self._unsettled: set[int] = set()
        self._settled = asyncio.Event()
        self._settled.set()
        self._latest: dict[int, int] = {}
        self._count = 0

    @contextmanager
    def folding(self, shard: int) -> Iterator[None]:
        """Within it the shard will soon have a part: the next transaction waits a little for it."""
        self._busy.add(shard)
        try:
            yield
        finally:
            self._busy.discard(shard)
            self._changed.set()

    def initialised(self, shard: int) -> None:
        """The shard's producer was made anew: nothing that an earlier one left is undecided."""
        self._unsettled.discard(shard)
        if not self._unsettled:
            self._settled.set()

    @property
    def undecided(self) -> bool:
        """Whether something that a transaction of ours has left can still be decided."""
        return bool(self._unsettled)

    async def settled(self) -> None:
        """Returns when nothing is undecided: a restore would not know of it."""
        await self._settled.wait()

    async def commit(self, part: Part, membership: Membership) -> None:
        """Returns when it is committed, maybe with others'; what fails one fails all that went with it."""
        assert part.offsets, part
        self._waiting.append(part)
        self._changed.set()
        try:
            async with self._turn:
                if not part.outcome.done():
                    await self._gathered()
                    parts, self._waiting = self._waiting, []
                    await self._transact(parts, membership)
        finally:
            if part in self._waiting:
                self._waiting.remove(part)
            if part.outcome.done():
                part.outcome.exception()  # heard, also where we were cancelled meanwhile
        part.outcome.result()

    async def _gathered(self) -> None:
        """Returns when no shard is folding that isn't here yet, or after a while: a long fold holds nobody up."""
        deadline = self._clock.monotonic_seconds() + GATHER_SECONDS
        while self._busy and len(self._waiting) < self._shards:
            left_seconds = deadline - self._clock.monotonic_seconds()
            if left_seconds <= 0:
                return
            self._changed.clear()
            await unless(self._changed, self._clock.sleep(left_seconds))

    async def _transact(self, parts: Sequence[Part], membership: Membership) -> None:
        leader = self._leader(parts)
        try:
            await _write(leader.producer, parts, membership)
        except asyncio.CancelledError:
            self._failed(parts, leader, Unavailable("a transaction was interrupted: its outcome is unknown"))
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, nobody may be left waiting
            self._failed(parts, leader, error)
        else:
            for part in parts:
                part.outcome.set_result(None)

    def _failed(self, parts: Sequence[Part], leader: Part, error: BaseException) -> None:
        self._unsettled.add(leader.shard)
        self._settled.clear()
        for part in parts:
            part.outcome.set_exception(error)

    def _leader(self, parts: Sequence[Part]) -> Part:
        """Whose producer has rested longest: the markers of its latest transaction are written by now."""
        leader = min(parts, key=lambda part: self._latest.get(part.shard, 0))
        self._count += 1
        self._latest[leader.shard] = self._count
        return leader


async def _write(producer: TransactionalProducer, parts: Sequence[Part], membership: Membership) -> None:
    outs = [out for part in parts for out in part.outs]
    offsets = {partition: offset for part in parts for partition, offset in part.offsets.items()}
    await producer.begin()
    async with aborted_by_bugs(producer):
        if outs:
            await producer.send(outs)
        await producer.commit(offsets, membership)


@asynccontextmanager
async def aborted_by_bugs(producer: TransactionalProducer) -> AsyncIterator[None]:
    """Aborts the open transaction where it is known that nobody has: not after `Unavailable`.

    A late abort could hit the transaction of the producer that is made next (streaming-practice.md §1.1, rule 2).
    """
    try:
        yield
    except (Fenced, Unavailable, asyncio.CancelledError):
        raise
    except BaseException:
        with suppress(Fenced, Unavailable):
            await producer.abort()
        raise
