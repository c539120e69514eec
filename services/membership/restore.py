"""The committed part of a partition's log, replayed with outputs suppressed, from a checkpoint or the beginning.

What was committed was also written, in the same transactions; what comes after the committed offset is the loop's.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from contracts.records import Record, TopicPartition
from services.runtime.failures import Fatal
from services.runtime.fold import Fold, Offload
from services.runtime.log import Log

_POLL_SECONDS: Final = 1.0
_RECORDS_MAX: Final = 1_000  # as the loop polls: a record of rows is near 1 MiB


async def replay(log: Log, partition: TopicPartition, start: int, end: int, fold: Fold, *, offload: Offload) -> None:
    """Brings a `fold` from offset `start` to `end`; raises `Fatal` where the log no longer holds all between."""
    (begin,) = (await log.begin_offsets([partition])).values()
    (high,) = (await log.end_offsets([partition])).values()
    name = f"{partition.topic}/{partition.partition}"
    if begin > start:
        raise Fatal(
            f"{name} begins at offset {begin}: what stood before it is lost, and there is no checkpoint to stand in "
            "for it. Where there should be one, see USHER_STATE_URL; the topic's retention must be unlimited (`usher "
            "topics` says what differs). Else start anew under another USHER_TOPIC_PREFIX and upload the present files"
        )
    if high < end:
        raise Fatal(
            f"{name} ends at offset {high}, but {end} was committed: the topic was made anew or lost its tail. "
            "Restore it, or start anew under another USHER_TOPIC_PREFIX and upload the present files"
        )
    if start == end:
        return
    reader = await log.reader([partition])
    try:
        reader.seek(partition, start)
        while await reader.position(partition) < end:
            records = await reader.read(timeout_seconds=_POLL_SECONDS, records_max=_RECORDS_MAX)
            await offload(partial(_drain, fold, [record for record in records if record.offset < end]))
    finally:
        await reader.close()


def _drain(fold: Fold, records: Sequence[Record]) -> None:
    """Folds them; their outputs are on the log already."""
    if records:
        for _ in fold.handle(records, 0):
            pass
