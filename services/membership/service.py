"""Membership as a service that is folded: its group, its topic, and the folds that the loop asks for.

A partition's state is made by replaying its log (`restore`). What the log can't be folded by stops the worker with
what to do.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from contracts.catalog import CHANGES, INPUT, RESULTS, SIZES
from contracts.records import Out, Record, TopicPartition
from services.domain.membership.broken_log import BrokenLog
from services.domain.membership.partition import MembershipPartition
from services.membership.restore import replay
from services.runtime.failures import Fatal
from services.runtime.fold import Fold, Offload
from services.runtime.log import Log

GROUP: Final = "membership"


class MembershipService:
    """A `FoldService` by structure."""

    group = GROUP
    topics: Sequence[str] = (INPUT,)
    transaction_timeout_seconds = 900.0  # a step is one transaction, however large
    records_max = 1_000

    def __init__(self, log: Log, *, offload: Offload = asyncio.to_thread) -> None:
        self._log = log
        self._offload = offload
        self._partitions: int | None = None  # as the first shard found them

    async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
        """The partition as it stood at its committed offset."""
        partitions, results_partitions = await self._counts()
        fold = _Loud(MembershipPartition(shard, partitions=partitions, results_partitions=results_partitions))
        await replay(self._log, TopicPartition(INPUT, shard), offsets.get(INPUT, 0), fold, offload=self._offload)
        return fold

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


class _Loud:
    """A partition whose broken log stops the worker: going on would make partitions disagree."""

    def __init__(self, partition: MembershipPartition) -> None:
        self._partition = partition

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out]:
        try:
            yield from self._partition.handle(records, now_ms)
        except BrokenLog as error:
            raise Fatal(
                f"{error}. Nothing of it was committed. If a newer usher wrote it, run that version here; else the "
                "log is damaged: start anew under another USHER_TOPIC_PREFIX and upload the present files"
            ) from None

    def due_ms(self) -> int | None:
        return self._partition.due_ms()
