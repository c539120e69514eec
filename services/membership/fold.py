"""A partition as the fold loop runs it: broken logs stop the worker, and what a checkpoint needs is remembered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from contracts.records import Out, Record
from services.domain.membership.broken_log import BrokenLog
from services.domain.membership.checkpoint.manifest import Anchor, Manifest, anchor_of
from services.domain.membership.partition import DeadLetter, MembershipPartition
from services.membership.events import STAGE_SECONDS
from services.runtime.dead_letters import dead_letter
from services.runtime.failures import Fatal
from services.runtime.stages import Stages

LETTER: Final[DeadLetter] = partial(dead_letter, service="membership")


@dataclass(slots=True)
class Progress:
    """How far the checkpoints of one partition are behind its state. Outlives the state: a write may end after it."""

    saved_offset: int = 0
    saved_bytes: int = 0  # the size of that checkpoint
    saved_at_ms: int | None = None  # when the one that was loaded was taken
    taken_at_seconds: float = 0.0  # of the latest copy, written or not, or of the loading; of the monotonic clock
    failed: bool = False  # the latest copy could not be written
    unusable: set[int] = field(default_factory=set)  # offsets of checkpoints that could not be loaded


class PartitionFold:
    """A `Fold` by structure. `unsaved_bytes` of input were folded since the latest copy was taken."""

    def __init__(self, number: int, *, partitions: int, results_partitions: int) -> None:
        self.number = number
        self.partitions = partitions
        self._results_partitions = results_partitions
        self.partition = self.fresh()
        self.progress = Progress()
        self.unsaved_bytes = 0
        self._stages: Stages | None = None
        self._last: Record | None = None
        self._restored: Anchor | None = None

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out]:
        """Raises `Fatal` where the log can't be folded: going on would make partitions disagree."""
        if records:
            self._last = records[-1]
            self.unsaved_bytes += sum(len(record.value or b"") for record in records)
        try:
            yield from self._handled(records, now_ms)
        except BrokenLog as error:
            raise Fatal(
                f"{error}. Nothing of it was committed. If a newer usher wrote it, run that version here; else the "
                "log is damaged: start anew under another USHER_TOPIC_PREFIX and upload the present files"
            ) from None

    def timed_by(self, stages: Stages) -> None:
        """From here on batches are timed; what was replayed before was not."""
        self._stages = stages
        self.partition.stage_ended = stages.end

    def due_ms(self) -> int | None:
        return self.partition.due_ms()

    def fresh(self) -> MembershipPartition:
        """One without any past."""
        return MembershipPartition(
            self.number,
            partitions=self.partitions,
            results_partitions=self._results_partitions,
            dead_letter=LETTER,
        )

    def restored(self, partition: MembershipPartition, manifest: Manifest) -> None:
        """The state is that of a checkpoint; nothing has been folded here yet."""
        assert self._last is None
        self.partition = partition
        self._restored = manifest.anchor
        self.progress.saved_offset = manifest.offset
        self.progress.saved_at_ms = manifest.taken_at_ms
        self.progress.saved_bytes = sum(blob.size_bytes for blob in manifest.blobs)

    def _handled(self, records: Sequence[Record], now_ms: int) -> Iterator[Out]:
        outs = self.partition.handle(records, now_ms)
        if self._stages is None:
            yield from outs
            return
        self._stages.resume()
        for out in outs:
            yield out
            self._stages.resume()  # what was made may have been sent meanwhile
        if records:
            self._stages.show(STAGE_SECONDS)

    def anchor(self) -> Anchor:
        """Of the last record folded; there must be one."""
        anchor = self._restored if self._last is None else anchor_of(self._last)
        assert anchor is not None
        return anchor
