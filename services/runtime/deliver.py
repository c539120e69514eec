"""The Deliver loop: at least once, one task a partition, commits the highest finished offset (architecture.md §3)."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from contracts.records import Record, TopicPartition
from services.runtime.backoff import SYSTEM_RANDOM, Random
from services.runtime.clock import Clock
from services.runtime.health import Health
from services.runtime.log import Log


class Deliver(Protocol):
    """Does I/O for the records of one partition at a time; different partitions run side by side."""

    async def assigned(self, partition: TopicPartition) -> None:
        """The partition is ours from here on."""
        ...

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        """Returns when every record has had its durable effect (or is in dead letters); then they are committed.

        Raises `Unavailable` to be called again with the same records after a backoff. Cancelled on revoke.
        """
        ...

    async def revoked(self, partition: TopicPartition) -> None:
        """The partition is no longer ours; its task has ended."""
        ...


async def run_deliveries(
    log: Log,
    group: str,
    deliver: Deliver,
    *,
    clock: Clock,
    health: Health,
    stopping: asyncio.Event,
    topics: Sequence[str] = (),
    pattern: str | None = None,
    records_max: int = 500,
    partition_bytes_max: int = 1 << 20,
    handle_seconds_max: float = 3600.0,
    drain_seconds: float = 10.0,
    random: Random = SYSTEM_RANDOM,
    instance_id: str | None = None,
) -> None:
    """Joins `group` by topic names or by pattern and hands each assigned partition's records to `deliver`.

    Runs until `stopping` is set. A `handle` under way then has `drain_seconds` to end, and is cancelled after them;
    its records come again to the next owner. One that is silent for `handle_seconds_max` fails `/livez`. Raises
    `Fatal` where somebody must act, a `Rejected` that escapes `handle` (a bug) included.
    """
    raise NotImplementedError
