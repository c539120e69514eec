"""When a checkpoint is written, and what goes when it is. Called by `service` after each commit.

A copy is taken between two folds and written in the background, one at a time in a process, so that the memory and
the requests of a worker with many partitions stay bounded. Failing or slow storage never stops folding.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Final

import msgspec

from contracts.catalog import INPUT
from services.domain.membership.checkpoint.manifest import FOLD_RULES, FORMAT, Blob, Manifest
from services.domain.membership.checkpoint.take import Copy, take
from services.membership.checkpoint_store import CheckpointStore
from services.membership.events import (
    SETS_BYTES,
    TAKE_SECONDS,
    WRITE_SECONDS,
    WRITTEN_AT_SECONDS,
    WRITTEN_BYTES,
    CheckpointFailed,
    CheckpointWritten,
)
from services.membership.fold import PartitionFold, Progress
from services.membership.tidying import tidy
from services.runtime.clock import Clock
from services.runtime.deadline import Deadline
from services.runtime.failures import Rejected, Unavailable
from services.runtime.fold import Offload
from services.runtime.log import Log

STOP_SECONDS: Final = 10.0  # of the 20 that a service has to stop: the rest is for the transaction under way
RETRY_SECONDS: Final = 30.0
_SPOOL_BYTES: Final = 8 << 20  # what a copy may hold in memory; the rest of it lies in a temporary file
_READ_BYTES: Final = 1 << 20
_WRITTEN_AT_ONCE: Final = 2  # folding goes on meanwhile: here little memory is worth more than little time


@dataclass(frozen=True, slots=True)
class Pace:
    """A checkpoint is due after so much input or so long, whichever comes first, and never without any input.

    Not before as much input came as the last one was large: what is written stays in proportion to what is read,
    however large a partition grows.
    """

    input_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """A copy of committed state, and its manifest without the blobs, which may be asked for once."""

    manifest: Manifest
    copy: Copy
    spool: "SpooledTemporaryFile[bytes]"

    def blobs(self) -> Iterator[tuple[Blob, bytes]]:
        self.spool.seek(0)
        return self.copy.blobs(iter(lambda: self.spool.read(_READ_BYTES), b""))


class Checkpointing:
    """Of all partitions that this process folds."""

    def __init__(self, log: Log, store: CheckpointStore, pace: Pace, *, clock: Clock, offload: Offload) -> None:
        self._log = log
        self._store = store
        self._pace = pace
        self._clock = clock
        self._offload = offload
        self._one = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None
        self._ours: set[int] = set()

    def restored(self, fold: PartitionFold) -> None:
        """A partition is folded here from now on: the checkpoint that it was restored from is the newest."""
        self._ours.add(fold.number)
        if fold.progress.saved_at_ms is not None:
            self._show(fold.number, fold.progress.saved_at_ms, fold.progress.saved_bytes)

    def ended(self, partition: int) -> None:
        """It is folded here no longer, though a write of it may still end."""
        self._ours.discard(partition)
        for gauge in (WRITTEN_AT_SECONDS, WRITTEN_BYTES, SETS_BYTES):
            gauge.forget(str(partition))

    async def committed(self, fold: PartitionFold, offset: int) -> None:
        """Takes a copy and has it written, where one is due and no other is being written."""
        if self._one.locked() or not self.is_due(fold):
            return
        await self._one.acquire()  # at once: nobody holds it
        background = None
        try:
            if (taken := await self._take(fold, offset)) is not None:
                background = self._background = asyncio.create_task(self._write(taken, fold.progress))
                background.add_done_callback(lambda _: self._done_with(taken))
        finally:
            if background is None:
                self._one.release()

    async def last(self, fold: PartitionFold, offset: int) -> None:
        """Writes the state at which the service stops, so that its successor replays nothing; gives up in time."""
        deadline = Deadline(self._clock, STOP_SECONDS)
        writing = asyncio.ensure_future(self._write_last(fold, offset))
        try:
            if not await deadline.ended(writing):
                CheckpointFailed(fold.number, offset, f"not written within {STOP_SECONDS:.0f} s of the stop").emit()
        finally:
            writing.cancel()
            await asyncio.wait((writing,))

    async def close(self) -> None:
        """What is still being written is given up: without its manifest it is no checkpoint."""
        if self._background is not None:
            self._background.cancel()
            await asyncio.wait((self._background,))

    def is_due(self, fold: PartitionFold) -> bool:
        """As `Pace` says; after a failure, a while later."""
        progress = fold.progress
        waited_seconds = self._clock.monotonic_seconds() - progress.taken_at_seconds
        if progress.failed:
            return waited_seconds >= RETRY_SECONDS
        enough_bytes = max(self._pace.input_bytes, progress.saved_bytes)
        return fold.unsaved_bytes >= enough_bytes or (fold.unsaved_bytes > 0 and waited_seconds >= self._pace.seconds)

    def _done_with(self, taken: _Taken) -> None:
        """Also where the task was ended before it began."""
        taken.spool.close()
        self._one.release()

    async def _write_last(self, fold: PartitionFold, offset: int) -> None:
        async with self._one:
            if offset <= fold.progress.saved_offset:
                return
            taken = await self._take(fold, offset)
            if taken is not None:
                with taken.spool:
                    await self._write(taken, fold.progress)

    async def _take(self, fold: PartitionFold, offset: int) -> _Taken | None:
        """A copy of the state at `offset`; None where it could not be taken, which is told."""
        began = self._clock.monotonic_seconds()
        fold.progress.taken_at_seconds = began
        spool = SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - it outlives this call
        try:
            copy, anchor = await self._offload(lambda: (take(fold.partition, spool.write), fold.anchor()))
        except Exception as error:  # noqa: BLE001 - no room, or a bug: looking at the state does it no harm
            spool.close()
            _failed(fold.progress, fold.number, offset, error)
            return None
        except BaseException:
            spool.close()
            raise
        fold.unsaved_bytes = 0
        if fold.number in self._ours:
            SETS_BYTES.set(copy.sets_bytes, partition=str(fold.number))
        TAKE_SECONDS.observe(self._clock.monotonic_seconds() - began)
        manifest = Manifest(
            format=FORMAT,
            fold_rules=FOLD_RULES,
            topic=INPUT,
            partition=fold.number,
            partitions=fold.partitions,
            offset=offset,
            anchor=anchor,
            taken_at_ms=self._clock.now_ms(),
            blobs=[],
        )
        return _Taken(manifest, copy, spool)

    async def _write(self, taken: _Taken, progress: Progress) -> None:
        """All blobs, then the manifest; then what is superfluous goes."""
        partition, offset = taken.manifest.partition, taken.manifest.offset
        began = self._clock.monotonic_seconds()
        try:
            await self._forget_unusable(partition, offset, progress)
            size_bytes = await self._upload(taken)
        except Exception as error:  # noqa: BLE001 - even a bug here must not stop folding; it is told and counted
            _failed(progress, partition, offset, error)
            return
        seconds = self._clock.monotonic_seconds() - began
        progress.saved_offset, progress.saved_bytes, progress.failed = offset, size_bytes, False
        CheckpointWritten(partition, offset, size_bytes, seconds).emit()
        WRITE_SECONDS.observe(seconds)
        self._show(partition, taken.manifest.taken_at_ms, size_bytes)
        await tidy(self._log, self._store, partition, progress.unusable)

    def _show(self, partition: int, taken_at_ms: int, size_bytes: int) -> None:
        if partition in self._ours:
            WRITTEN_AT_SECONDS.set(taken_at_ms / 1000, partition=str(partition))
            WRITTEN_BYTES.set(size_bytes, partition=str(partition))

    async def _upload(self, taken: _Taken) -> int:
        """Returns how many bytes it has. A few blobs are made, then sent at once, then the next few."""
        blobs = taken.blobs()
        written: list[Blob] = []
        while some := await self._offload(lambda: list(islice(blobs, _WRITTEN_AT_ONCE))):
            await self._store.write(taken.manifest.partition, taken.manifest.offset, some)
            written += (blob for blob, _ in some)
            some.clear()  # before the next few are made
        await self._store.complete(msgspec.structs.replace(taken.manifest, blobs=written))
        return sum(blob.size_bytes for blob in written)

    async def _forget_unusable(self, partition: int, offset: int, progress: Progress) -> None:
        """A damaged checkpoint at this very offset goes first: else its manifest would vouch for a mixture."""
        if offset in progress.unusable:
            for stored in await self._store.stored(partition):
                if stored.offset == offset:
                    await self._store.remove(stored)
            progress.unusable.discard(offset)


def _failed(progress: Progress, partition: int, offset: int, error: Exception) -> None:
    progress.failed = True
    foreseen = isinstance(error, Unavailable | Rejected | OSError)
    CheckpointFailed(partition, offset, str(error) if foreseen else f"a bug: {error!r}").emit()
