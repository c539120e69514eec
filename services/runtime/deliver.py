"""The Deliver loop: at least once, one task for each partition, commits the highest finished offset (architecture.md §3)."""

from collections.abc import Sequence
from typing import Protocol

from contracts.records import Record, TopicPartition


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
