"""The Fold loop: poll → fold → transaction, one shard at a time (architecture.md §3)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from contracts.catalog import TopicSpec
from contracts.records import Out, Record


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
