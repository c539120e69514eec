"""The account of one batch of a lane: what became of every member of every record, and the outcomes that say so.

A `Delivered` outcome is made for each record, not for the batch: after a crash the same records come again in other
batches, and only what was counted record by record is counted once however the batches fall (architecture.md §4.4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contracts.instants import instant_text
from contracts.messages.delivery import Delivered, Delivery
from contracts.records import Record
from services.domain.delivery.answers import Fate, Verdict
from services.domain.delivery.merge import Item, Kept, members_of


@dataclass(frozen=True, slots=True)
class Taken:
    """A destination has taken a request, and says what became of it to whoever asks by `receipt`, after that time."""

    receipt: str
    ask_after_seconds: int


@dataclass(slots=True)
class _Entry:
    """The account of one record, in members; `verdict` is the latest that was not good."""

    record: Record
    kept: Kept
    delivered: int = 0
    dead_lettered: int = 0
    uploads: int = 0
    processing: int = 0
    attempts: int = 0
    verdict: Verdict | None = None


class Ledger:
    """`records[n]` carries the delivery of `kept[n]`."""

    def __init__(self, records: Sequence[Record], kept: Sequence[Kept]) -> None:
        self._entries = [_Entry(record, one) for record, one in zip(records, kept, strict=True)]
        self.connection_ids = sorted({one.delivery.connection_id for one in kept})
        self.taken: list[tuple[Taken, Delivery, int]] = []
        """Each request whose outcome is to be asked for, with a delivery that it was of, and the members."""

    def waited_ms(self, now_ms: int) -> int:
        """How long the oldest of the records had been in the queue."""
        return max(0, now_ms - min(entry.record.timestamp_ms for entry in self._entries))

    def timestamp_ms(self, item: Item) -> int:
        """When the item's record was written to the queue."""
        return self._entries[item.index].record.timestamp_ms

    def attempted(self, items: Sequence[Item]) -> None:
        """One request with these items was tried."""
        for index in {item.index for item in items}:
            self._entries[index].attempts += 1

    def uploaded(self, items: Sequence[Item], taken: Taken | None = None) -> None:
        """One request delivered these items: one upload for each activation, at its last item.

        Those that are only taken are of one activation; what becomes of them is not known yet.
        """
        if taken is not None and members_of(items):
            assert len({item.delivery.activation_id for item in items}) == 1, "a report is about one activation"
            self.taken.append((taken, items[0].delivery, members_of(items)))
            for item in items:
                self._entries[item.index].processing += len(item.members)
        last = {item.delivery.activation_id: item.index for item in items}
        for index in last.values():
            self._entries[index].uploads += 1

    def settle(self, item: Item, verdict: Verdict) -> None:
        """An item has had its last word: delivered, or to be kept in dead letters."""
        entry = self._entries[item.index]
        if verdict.fate is Fate.DELIVERED:
            entry.delivered += len(item.members)
        else:
            entry.dead_lettered += len(item.members)
            entry.verdict = verdict

    def has_dead(self) -> bool:
        """Whether anything must be kept in dead letters, so far."""
        return any(entry.verdict is not None for entry in self._entries)

    def dead(self) -> Iterator[tuple[Record, Verdict, int]]:
        """The records of which something must be kept in dead letters, each once, with the reason and the attempts."""
        for entry in self._entries:
            if entry.verdict is not None:
                yield entry.record, entry.verdict, entry.attempts

    def outcomes(self, queue: str, now_ms: int) -> Iterator[Delivered]:
        """One outcome for each record, in order; every member must have been settled."""
        at = instant_text(now_ms)
        for entry in self._entries:
            delivery, verdict = entry.kept.delivery, entry.verdict
            assert entry.kept.merged + entry.delivered + entry.dead_lettered == len(delivery.members)
            yield Delivered(
                space_id=delivery.space_id,
                activation_id=delivery.activation_id,
                queue=queue,
                partition=entry.record.partition,
                through_offset=entry.record.offset + 1,
                delivered=entry.delivered,
                merged=entry.kept.merged,
                dead_lettered=entry.dead_lettered,
                uploads=entry.uploads,
                processing=entry.processing,
                waited_ms=max(0, now_ms - entry.record.timestamp_ms),
                at=at,
                code=verdict.code.code if verdict and verdict.code else None,
                detail=verdict.detail if verdict else None,
            )
