"""How far one shard has come: what its state has seen, and what of it no transaction has taken yet. For `shard`."""

from collections.abc import Mapping, Sequence
from typing import Final

from contracts.records import Record, TopicPartition
from services.runtime.clock import Clock

SILENT_SECONDS_MAX: Final = 1.0  # how long offsets of records that called for no output wait for a transaction


class Offsets:
    """Offsets are of the next record, as everywhere."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting_since = 0.0
        self.seen: dict[TopicPartition, int] = {}
        self.uncommitted: dict[TopicPartition, int] = {}

    def begin(self, committed: Mapping[TopicPartition, int]) -> None:
        """The state is that of these offsets."""
        self.seen, self.uncommitted = dict(committed), {}

    def after(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """What a transaction commits that takes the state to `offsets`. Never nothing: the broker goes by offsets
        where it asks whether we are still a member.
        """
        return self.uncommitted | dict(offsets) or dict(self.seen)

    def saw(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The state has moved on to these."""
        if offsets and not self.uncommitted:
            self._waiting_since = self._clock.monotonic_seconds()
        self.seen |= offsets
        self.uncommitted |= offsets

    def committed(self) -> None:
        """All that was seen is."""
        self.uncommitted.clear()

    def until_commit_seconds(self) -> float | None:
        """How long what is uncommitted may still wait; None where there is nothing."""
        if not self.uncommitted:
            return None
        return max(self._waiting_since + SILENT_SECONDS_MAX - self._clock.monotonic_seconds(), 0.0)


def next_offsets(records: Sequence[Record]) -> dict[TopicPartition, int]:
    """Batches are in order for each partition: the last record of each one wins."""
    return {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
