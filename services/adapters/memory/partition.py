"""One partition of the memory log: offsets, transactions' markers, what a reader may see, compaction, deletion.

Knows nothing of clients, groups or waiting; `cluster.py` holds the partitions.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Literal

from contracts.records import Out, Record, TopicPartition
from services.runtime.failures import OffsetLost


@dataclass(slots=True, eq=False)
class Transaction:
    """One transaction: where it has written, and the group offsets that become visible with it."""

    state: Literal["open", "committed", "aborted"] = "open"
    partitions: dict["PartitionLog", None] = field(default_factory=dict)  # in order of their first record
    offsets: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)

    def settle(self, *, commit: bool) -> None:
        """Ends it, with one marker on every partition that it wrote to."""
        assert self.state == "open", self.state
        self.state = "committed" if commit else "aborted"
        for partition in self.partitions:
            partition.mark(self)


@dataclass(slots=True)
class _Entry:
    record: Record
    transaction: Transaction | None
    control: bool = False


class PartitionLog:
    """Entries by offset. A commit or abort marker takes an offset, as in Kafka."""

    def __init__(self, name: TopicPartition) -> None:
        self.name = name
        self.begin = 0
        self.end = 0
        self._entries: list[_Entry] = []
        self._open: dict[Transaction, int] = {}  # transaction -> its first offset here

    @property
    def last_stable(self) -> int:
        """The first offset that an open transaction hides, else the end."""
        return min(self._open.values(), default=self.end)

    def append(self, out: Out, timestamp_ms: int, transaction: Transaction | None) -> None:
        record = Record(*self.name, self.end, timestamp_ms, out.key, out.value, tuple(out.headers))
        if transaction is not None:
            assert transaction.state == "open", transaction.state
            transaction.partitions.setdefault(self)
            self._open.setdefault(transaction, self.end)
        self._entries.append(_Entry(record, transaction))
        self.end += 1

    def mark(self, transaction: Transaction) -> None:
        """Writes the marker of a transaction that has just been settled."""
        del self._open[transaction]
        marker = Record(*self.name, self.end, 0, None, None, ())
        self._entries.append(_Entry(marker, transaction, control=True))
        self.end += 1

    def read(self, position: int, records_max: int, *, committed_only: bool) -> tuple[list[Record], int]:
        """Up to `records_max` visible records from `position`, and the next position; raises `OffsetLost`."""
        if not self.begin <= position <= self.end:
            raise OffsetLost(f"{self.name} reaches from {self.begin} to {self.end}; {position} was to be read")
        limit = self.last_stable if committed_only else self.end
        found: list[Record] = []
        for index in range(self._index(position), len(self._entries)):
            entry = self._entries[index]
            if entry.record.offset >= limit or len(found) == records_max:
                return found, max(position, min(entry.record.offset, limit))
            if not entry.control and not (committed_only and _aborted(entry)):
                found.append(entry.record)
        return found, max(position, limit)

    def delete_before(self, offset: int) -> None:
        """Forgets what is older than `offset`; an offset past the end empties the partition."""
        self.begin = max(self.begin, min(offset, self.end))
        del self._entries[: self._index(self.begin)]

    def compact(self) -> None:
        """Keeps the last record of each key below the last stable offset, tombstones included; offsets stay."""
        stable = self._index(self.last_stable)
        settled = [entry for entry in self._entries[:stable] if not entry.control and not _aborted(entry)]
        last = {entry.record.key: entry for entry in settled}
        kept = sorted(last.values(), key=lambda entry: entry.record.offset)
        self._entries[:stable] = kept

    def _index(self, offset: int) -> int:
        return bisect_left(self._entries, offset, key=lambda entry: entry.record.offset)


def _aborted(entry: _Entry) -> bool:
    return entry.transaction is not None and entry.transaction.state == "aborted"
