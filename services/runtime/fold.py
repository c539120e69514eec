"""The Fold loop: poll → fold → transaction, one shard at a time (architecture.md §3)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from contracts.catalog import TopicSpec
from contracts.records import Out, Record
from services.runtime.backoff import SYSTEM_RANDOM, Random
from services.runtime.clock import Clock
from services.runtime.health import Health
from services.runtime.log import Log

T = TypeVar("T")


class Fold(Protocol):
    """The state of one shard and the pure function over it. Called from one thread at a time, never the loop's."""

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
        """Folds the records in order and yields what to write, lazily: state changes as the iterator is drained.

        A `TopicSpec` asks for a topic that must exist before the transaction commits. With no records it does what is
        due at `now_ms`. If the transaction fails, the loop drops this state and restores it.
        """
        ...

    def due_ms(self) -> int | None:
        """The instant at which `handle([], now)` has something to do, None where nothing is planned."""
        ...


class FoldService(Protocol):
    """What a service must say for its shards to be folded. Shard n owns partition n of every topic."""

    group: str
    topics: Sequence[str]
    transaction_timeout_seconds: float
    records_max: int

    async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
        """The state exactly at the committed offsets (topic → next offset; absent = from the beginning)."""
        ...


class Offload(Protocol):
    """Runs a function where it does not hold up the loop: `asyncio.to_thread`, or in place for simulations."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def run_folds(
    log: Log,
    service: FoldService,
    *,
    clock: Clock,
    health: Health,
    stopping: asyncio.Event,
    random: Random = SYSTEM_RANDOM,
    instance_id: str | None = None,
    offload: Offload = asyncio.to_thread,
) -> None:
    """Joins `service.group` and folds the shards that it assigns to us, until `stopping` is set.

    Returns when the transactions under way have ended and the group is left. Raises `Fatal` where the operator or a
    programmer must act; everything else is retried here.
    """
    raise NotImplementedError
