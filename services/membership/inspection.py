"""Answers what `usher inspect` asks: from the newest checkpoint and the log behind it, as a restart would restore it.

What it says is what was published: each partition as of the group's committed offset. It writes nothing, joins no
group and asks no service (decisions/0013).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from contracts.catalog import INPUT
from contracts.partitioning import member_partition
from contracts.records import TopicPartition
from services.domain.membership.checkpoint.manifest import NewerFormat
from services.domain.membership.checkpoint.packing import Damaged
from services.domain.membership.inspection import (
    Answer,
    AudienceAsked,
    CheckpointSeen,
    IdentityAsked,
    PartitionAsked,
    PartitionSeen,
    Place,
    Question,
    StandSeen,
    audience_seen,
    identity_seen,
)
from services.domain.membership.partition import MembershipPartition
from services.membership.checkpoint_store import CheckpointStore, Stored
from services.membership.fold import PartitionFold
from services.membership.loading import CheckpointLoader
from services.membership.restore import replay
from services.membership.service import GROUP
from services.runtime.clock import Clock
from services.runtime.failures import Fatal, Rejected, Unavailable
from services.runtime.fold import Offload
from services.runtime.log import Log

_RESULTS_PARTITIONS: Final = 1  # results are made and thrown away

Look = Callable[[MembershipPartition, Place], PartitionSeen]


class Inspection:
    """Partitions are restored one after the other, so that one state at a time is held."""

    def __init__(
        self, log: Log, store: CheckpointStore | None, *, clock: Clock, offload: Offload = asyncio.to_thread
    ) -> None:
        self._log = log
        self._store = store
        self._offload = offload
        self._loader = (
            None if store is None else CheckpointLoader(log, store, clock=clock, offload=offload, only_looks=True)
        )

    async def answer(self, question: Question) -> Answer:
        """Raises nothing that an operator can mend: that is an answer too."""
        try:
            return await self._answer(question)
        except (Fatal, Rejected, Unavailable) as error:
            return Answer(failed=str(error))

    async def _answer(self, question: Question) -> Answer:
        partitions = await self._log.partitions(INPUT)
        if not partitions:
            raise Fatal(f"there is no topic {INPUT}: `usher topics` creates what is missing")
        match question:
            case IdentityAsked():
                home = member_partition(question.identifier, partitions)
                return Answer(seen=[await self._seen(home, partitions, partial(identity_seen, asked=question))])
            case AudienceAsked():
                look = partial(audience_seen, asked=question)
                return Answer(seen=[await self._seen(number, partitions, look) for number in range(partitions)])
            case PartitionAsked():
                return Answer(stand=await self._stand(question.partition, partitions))

    async def _seen(self, number: int, partitions: int, look: Look) -> PartitionSeen:
        place = TopicPartition(INPUT, number)
        committed = (await self._log.committed(GROUP, [place])).get(place, 0)
        fold = PartitionFold(number, partitions=partitions, results_partitions=_RESULTS_PARTITIONS)
        start = 0 if self._loader is None else await self._loader.load(fold, place, committed)
        await replay(self._log, place, start, committed, fold, offload=self._offload)
        return await self._offload(partial(look, fold.partition, Place(number, partitions, committed)))

    async def _stand(self, number: int, partitions: int) -> StandSeen:
        if number not in range(partitions):
            raise Fatal(f"there is no partition {number}: {INPUT} has {partitions}, numbered from 0")
        place = TopicPartition(INPUT, number)
        return StandSeen(
            partition=number,
            partitions=partitions,
            begin_offset=(await self._log.begin_offsets([place]))[place],
            committed_offset=(await self._log.committed(GROUP, [place])).get(place, 0),
            end_offset=(await self._log.end_offsets([place], committed_only=True))[place],
            checkpoints_url=None if self._store is None else self._store.place(number),
            checkpoints=None if self._store is None else await _checkpoints(self._store, number),
        )


async def _checkpoints(store: CheckpointStore, number: int) -> list[CheckpointSeen]:
    return [await _checkpoint(store, stored) for stored in await store.stored(number) if stored.is_complete]


async def _checkpoint(store: CheckpointStore, stored: Stored) -> CheckpointSeen:
    try:
        manifest = await store.manifest(stored)
    except (Damaged, NewerFormat) as error:
        return CheckpointSeen(offset=stored.offset, problem=str(error))
    size_bytes = sum(blob.size_bytes for blob in manifest.blobs)
    return CheckpointSeen(offset=stored.offset, taken_at_ms=manifest.taken_at_ms, size_bytes=size_bytes)
