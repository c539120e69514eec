"""What a new checkpoint makes superfluous: older ones, remains of broken ones, and the log before the oldest kept."""

from typing import Final

from contracts.catalog import INPUT
from contracts.records import TopicPartition
from services.domain.membership.checkpoint.manifest import NewerFormat
from services.domain.membership.checkpoint.packing import Damaged
from services.membership.checkpoint_store import CheckpointStore, Stored
from services.membership.events import CheckpointTidyingFailed, InputTrimmed
from services.runtime.failures import Rejected, Unavailable
from services.runtime.log import Log

KEPT: Final = 3


async def tidy(log: Log, store: CheckpointStore, partition: int, unusable: set[int]) -> None:
    """Removes all but the newest `KEPT`, and trims the log once there are so many. What fails is told.

    `unusable` are complete ones that could not be loaded: they don't count as kept, and go as soon as there is a
    newer one. A worker that no longer owns the partition does no harm: it sees the newer checkpoints too.
    """
    try:
        stored = await store.stored(partition)
        kept = [one for one in stored if one.is_complete and one.offset not in unusable][:KEPT]
        for one in superfluous(stored, kept):
            await store.remove(one)
            unusable.discard(one.offset)
        if len(kept) == KEPT:
            await _trim(log, TopicPartition(INPUT, partition), (await store.manifest(kept[-1])).anchor.offset)
    except (Unavailable, Rejected, Damaged, NewerFormat) as error:
        CheckpointTidyingFailed(partition, str(error)).emit()


def superfluous(stored: list[Stored], kept: list[Stored]) -> list[Stored]:
    """What is older than the newest kept one and not kept; without a manifest, it was never finished."""
    offsets = {one.offset for one in kept}
    return [one for one in stored if kept and one.offset < kept[0].offset and one.offset not in offsets]


async def _trim(log: Log, place: TopicPartition, before: int) -> None:
    """The record at `before` stays: it tells this log from another one of the same name."""
    if (await log.begin_offsets([place]))[place] < before:
        await log.delete_records({place: before})
        InputTrimmed(place.partition, before).emit()
