"""Membership as a service that is folded: its group, its topic, and the folds that the loop asks for.

A partition's state is loaded from its newest checkpoint (`loading`) and its log is replayed from there (`restore`);
without a place for checkpoints it is replayed from the beginning, and never trimmed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.catalog import CHANGES, INPUT, RESULTS, SIZES
from contracts.records import TopicPartition
from services.membership.checkpoint_store import CheckpointStore
from services.membership.checkpointing import Checkpointing, Pace
from services.membership.events import IDENTITIES_BYTES, KNOWN_MEMBERS
from services.membership.fold import PartitionFold
from services.membership.loading import CheckpointLoader
from services.membership.restore import replay
from services.runtime.clock import Clock
from services.runtime.failures import Fatal
from services.runtime.fold import Fold, Offload
from services.runtime.log import Log
from services.runtime.stages import Stages

GROUP: Final = "membership"


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Where checkpoints lie, and how often one is written."""

    store: CheckpointStore
    pace: Pace


class MembershipService:
    """A `FoldService` by structure, which watches where there is a place for checkpoints."""

    group = GROUP
    topics: Sequence[str] = (INPUT,)
    transaction_timeout_seconds = 900.0  # a step is one transaction, however large
    records_max = 1_000

    def __init__(
        self,
        log: Log,
        *,
        clock: Clock,
        checkpoints: Checkpoints | None = None,
        offload: Offload = asyncio.to_thread,
    ) -> None:
        self._log = log
        self._clock = clock
        self._offload = offload
        self._loader: CheckpointLoader | None = None
        self._checkpointing: Checkpointing | None = None
        if checkpoints is not None:
            store, pace = checkpoints.store, checkpoints.pace
            self._loader = CheckpointLoader(log, store, clock=clock, offload=offload)
            self._checkpointing = Checkpointing(log, store, pace, clock=clock, offload=offload)
        self._partitions: int | None = None  # as the first shard found them

    async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
        """The partition as it stood at its committed offset."""
        partitions, results_partitions = await self._counts()
        place, committed = TopicPartition(INPUT, shard), offsets.get(INPUT, 0)
        fold = PartitionFold(shard, partitions=partitions, results_partitions=results_partitions)
        start = 0 if self._loader is None else await self._loader.load(fold, place, committed)
        await replay(self._log, place, start, committed, fold, offload=self._offload)
        fold.timed_by(Stages(self._clock, "stage", "apply", "encode"))
        if self._checkpointing is not None:
            self._checkpointing.restored(fold)
        return fold

    async def committed(self, shard: int, fold: Fold, offsets: Mapping[str, int], *, stopping: bool) -> None:
        """Writes a checkpoint where one is due, and at the end."""
        assert isinstance(fold, PartitionFold)
        KNOWN_MEMBERS.set(fold.partition.known(), partition=str(shard))
        IDENTITIES_BYTES.set(fold.partition.identities_bytes(), partition=str(shard))
        if self._checkpointing is None:
            return
        if stopping:
            await self._checkpointing.last(fold, offsets[INPUT])
        else:
            await self._checkpointing.committed(fold, offsets[INPUT])

    def ended(self, shard: int) -> None:
        """The partition is another worker's to show."""
        for gauge in (KNOWN_MEMBERS, IDENTITIES_BYTES):
            gauge.forget(str(shard))
        if self._checkpointing is not None:
            self._checkpointing.ended(shard)

    async def close(self) -> None:
        """Gives up what is still being written."""
        if self._checkpointing is not None:
            await self._checkpointing.close()

    async def _counts(self) -> tuple[int, int]:
        """How many partitions the input and the results have; raises `Fatal` where they can't be right."""
        counts = {topic: await self._log.partitions(topic) for topic in (INPUT, CHANGES, SIZES, RESULTS)}
        missing = [topic for topic, count in counts.items() if count == 0]
        if missing:
            raise Fatal(f"no topic {', '.join(missing)}: `usher topics` creates what is missing")
        wanted = self._partitions or counts[INPUT]
        wrong = {topic: counts[topic] for topic in (INPUT, CHANGES, SIZES) if counts[topic] != wanted}
        if wrong:
            shown = ", ".join(f"{topic} has {count}" for topic, count in wrong.items())
            raise Fatal(
                f"the topics of members have {wanted} partitions, but {shown}: a member's partition would change. "
                "The number is fixed when the topics are made; start anew under another USHER_TOPIC_PREFIX"
            )
        self._partitions = wanted
        return wanted, counts[RESULTS]
