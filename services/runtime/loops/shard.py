"""The life of one shard of the Fold loop: it owns the numbered steps and the reasons for their order.

Made by `fold` for each shard that is assigned; knows nothing of groups and rebalances beyond being told to end.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from contracts.records import Out, Record, TopicPartition
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.failures import Fenced, Unavailable
from services.runtime.health import Health
from services.runtime.log import GroupMember, Log, TransactionalProducer
from services.runtime.loops.drain import Chunk, Drain
from services.runtime.loops.events import (
    FOLD_LAG_RECORDS,
    FOLD_LAG_SECONDS,
    FOLD_OUTS,
    FOLD_RECORDS,
    FOLD_SECONDS,
    FOLD_STAGE_SECONDS,
    PollFailed,
    ShardAbandoned,
    ShardRestored,
    ShardRetried,
)
from services.runtime.loops.joint import JointTransactions, Part, aborted_by_bugs
from services.runtime.loops.offsets import Offsets, next_offsets
from services.runtime.stages import Stages
from services.runtime.waiting import unless

if TYPE_CHECKING:
    from services.runtime.fold import Fold, FoldService, Offload, Watching

T = TypeVar("T")

IDLE_POLL_SECONDS: Final = 1.0
JOINT_BYTES_MAX: Final = 256 << 10  # of output that goes with that of other shards: more holds them up
_PROGRESS_SECONDS_MAX: Final = 900.0  # one chunk of the longest step, or one restore


class _Left(Exception):  # noqa: N818 - not a failure: the shard was abandoned in the middle of a transaction
    """Unwinds to where producer and state are dropped."""


class Shard:
    """One shard from its assignment to its end. `finish` and `abandon` may be set from outside at any time.

    finish   end after the transaction under way
    abandon  end now, or when the chunk that is being folded returns: the transaction is aborted
    """

    def __init__(
        self,
        number: int,
        service: "FoldService",
        log: Log,
        joint: JointTransactions,
        *,
        clock: Clock,
        health: Health,
        backoff: Backoff,
        offload: "Offload",
        watching: "Watching | None" = None,
    ) -> None:
        self.number = number
        self.finish = asyncio.Event()
        self.abandon = asyncio.Event()
        self.folding: asyncio.Future[Chunk] | None = None  # outlives a cancelled task: threads can't be ended
        self._service = service
        self._watching = watching
        self._stopping = False
        self._log = log
        self._joint = joint
        self._clock = clock
        self._backoff = backoff
        self._offload = offload
        self._name = f"{service.group}-{number}"
        self._pulse = health.pulse(self._name, allowed_seconds=_PROGRESS_SECONDS_MAX)
        self._partitions = [TopicPartition(topic, number) for topic in service.topics]
        self._offsets = Offsets(clock)
        self._due_ms: int | None = None

    def stop(self) -> None:
        """As `finish`, because the service was asked to stop: nobody is waiting for this shard."""
        self._stopping = True
        self.finish.set()

    async def run(self, member: GroupMember, restored: Callable[[], None]) -> None:
        """Folds until `finish` or `abandon`. Raises `Fenced`, `Fatal`, and whatever a bug raises.

        `Unavailable` is handled here: the outcome of a transaction may be unknown then, so producer and state are
        thrown away and made anew. That is right only as long as the shard is ours, hence the check before each round.
        """
        self._membership = member.membership()
        try:
            with self._pulse:
                while not self.finish.is_set():
                    await self._stretch(member, restored)
        finally:
            for gauge in (FOLD_LAG_SECONDS, FOLD_LAG_RECORDS):
                gauge.forget(self._service.group, str(self.number))
            if self._watching is not None:
                self._watching.ended(self.number)

    async def _stretch(self, member: GroupMember, restored: Callable[[], None]) -> None:
        try:
            await self._own(member, restored)
        except _Left:
            ShardAbandoned(group=self._service.group, shard=self.number).emit()
        except Unavailable as error:
            delay = self._backoff.next_seconds(error.retry_after_seconds)
            ShardRetried(self._service.group, self.number, str(error), delay).emit()
            await unless(self.finish, self._clock.sleep(delay))
            self._pulse.beat()

    async def _own(self, member: GroupMember, restored: Callable[[], None]) -> None:
        """Makes the shard ours and folds it.

        1. Initialise the producer. This fences every earlier owner and settles its open transaction. Wait until that
           is so for every joint transaction of ours that has failed: nothing can change any more what step 2 reads.
        2. Read the committed offsets. Before step 1 an earlier owner's commit could still land behind them. One that
           went by another shard's producer can't either: what it has added is waited for, and nothing that it adds
           now is taken, since the group goes by our membership.
        3. Restore the state to exactly these offsets: state, output and offsets moved together, so they belong
           together.
        4. Seek there (to the beginning where nothing is committed): only now may a record be polled.
        5. Poll → fold → transaction, until told to end.
        """
        began = self._clock.monotonic_seconds()
        producer = await self._log.transactional_producer(
            self._name, timeout_seconds=self._service.transaction_timeout_seconds
        )
        try:
            self._joint.initialised(self.number)
            await unless(self.finish, self._joint.settled())
            if self._joint.undecided:  # and we are to end
                return
            committed = await self._log.committed(self._service.group, self._partitions)
            fold = await self._service.restore(
                self.number, {partition.topic: offset for partition, offset in committed.items()}
            )
            begins = await self._log.begin_offsets([place for place in self._partitions if place not in committed])
            self._offsets.begin(begins | committed)
            for partition, offset in self._offsets.seen.items():
                member.seek(partition, offset)
            self._due_ms = await self._offload(fold.due_ms)
            ShardRestored(self._service.group, self.number, self._clock.monotonic_seconds() - began).emit()
            restored()
            while not self.finish.is_set():
                await self._turn(member, producer, fold)
                self._backoff.reset()
                self._pulse.beat()
            if self._offsets.uncommitted and not self.abandon.is_set():
                await self._commit(producer)
            if self._stopping and not self._offsets.uncommitted:
                await self._show(fold, stopping=True)
        finally:
            with suppress(Fenced, Unavailable):
                await producer.close()

    async def _turn(self, member: GroupMember, producer: TransactionalProducer, fold: "Fold") -> None:
        """One batch, then what is due: under constant load time must pass too."""
        records = await unless(self.finish, self._poll(member))
        if records:
            await self._transact(producer, Drain(fold, records, self._clock.now_ms()), records)
        self._show_lag(member, records)
        if self._until_due_seconds() <= 0 and not self.finish.is_set():
            await self._transact(producer, Drain(fold, (), self._clock.now_ms()), ())
        if self._offsets.until_commit_seconds() == 0:
            await self._commit(producer)
        if not self.finish.is_set() and not self._offsets.uncommitted:
            await self._show(fold, stopping=False)

    def _show_lag(self, member: GroupMember, records: Sequence[Record] | None) -> None:
        if records is None:  # the poll was cut off, and nothing is known
            return
        lag_ms = max(self._clock.now_ms() - max(one.timestamp_ms for one in records), 0) if records else 0
        FOLD_LAG_SECONDS.set(lag_ms / 1000, group=self._service.group, shard=str(self.number))
        behind = [member.behind(partition) for partition in self._partitions]
        known = [count for count in behind if count is not None]
        if len(known) == len(behind):
            FOLD_LAG_RECORDS.set(sum(known), group=self._service.group, shard=str(self.number))

    async def _show(self, fold: "Fold", *, stopping: bool) -> None:
        """Here, between two folds and with nothing uncommitted, the state is exactly what the committed offsets say."""
        if self._watching is not None:
            offsets = {partition.topic: offset for partition, offset in self._offsets.seen.items()}
            await self._watching.committed(self.number, fold, offsets, stopping=stopping)

    async def _poll(self, member: GroupMember) -> list[Record]:
        """The next batch. That nothing can be read just now says nothing about the state: it is kept."""
        while True:
            try:
                return await member.poll(
                    self._partitions, records_max=self._service.records_max, timeout_seconds=self._idle_seconds()
                )
            except Unavailable as error:
                delay = self._backoff.next_seconds(error.retry_after_seconds)
                PollFailed(self._service.group, self.number, str(error), delay).emit()
                await self._clock.sleep(delay)
                self._pulse.beat()
                for partition, offset in self._offsets.seen.items():
                    member.seek(partition, offset)

    def _idle_seconds(self) -> float:
        until_commit = self._offsets.until_commit_seconds()
        return self._until_due_seconds() if until_commit is None else min(until_commit, self._until_due_seconds())

    def _until_due_seconds(self) -> float:
        if self._due_ms is None:
            return IDLE_POLL_SECONDS
        return min(max((self._due_ms - self._clock.now_ms()) / 1000, 0.0), IDLE_POLL_SECONDS)

    async def _transact(self, producer: TransactionalProducer, drain: Drain, records: Sequence[Record]) -> None:
        """Folds and writes one batch in one transaction: short output with that of other shards, long output alone.

        A batch that calls for no output needs no transaction: whoever folds it again gets the same state and writes
        nothing. Its offsets go with the next one, or after a while.
        """
        stages = Stages(self._clock, "fold", "send", "commit")
        offsets = next_offsets(records)
        with self._joint.folding(self.number):
            chunk = await self._next_chunk(drain)
        stages.end("fold")
        outs = len(chunk.outs)
        if chunk.last and chunk.bytes <= JOINT_BYTES_MAX:
            await self._ensure(chunk)
            if chunk.outs:
                await self._jointly(producer, chunk.outs, offsets)
            stages.end("commit")
        else:
            chunk, outs = await self._alone(producer, drain, chunk, offsets, stages)
        self._due_ms = chunk.due_ms
        self._offsets.saw(offsets)
        if outs:
            self._offsets.committed()
        FOLD_RECORDS.add(len(records), group=self._service.group)
        FOLD_OUTS.add(outs, group=self._service.group)
        FOLD_SECONDS.observe(stages.total_seconds(), group=self._service.group)
        stages.show(FOLD_STAGE_SECONDS, group=self._service.group)

    async def _jointly(
        self, producer: TransactionalProducer, outs: Sequence[Out], offsets: Mapping[TopicPartition, int]
    ) -> None:
        part = Part(self.number, producer, outs, self._offsets.after(offsets))
        await self._joint.commit(part, self._membership)

    async def _alone(
        self,
        producer: TransactionalProducer,
        drain: Drain,
        chunk: Chunk,
        offsets: Mapping[TopicPartition, int],
        stages: Stages,
    ) -> tuple[Chunk, int]:
        """Writes `chunk` and all that follow it; returns the last one and how many records that were.

        Each chunk is stored before the next is made, so that a step of any length is never held whole. An open
        transaction hides later records of everybody on its partitions: so it is opened late, and aborted at once when
        the shard is abandoned or the fold fails.
        """
        outs = 0
        async with aborted_by_bugs(producer):
            while True:
                await self._ensure(chunk)
                if chunk.outs:
                    if not outs:
                        await producer.begin()
                    outs += len(chunk.outs)
                    await producer.send(chunk.outs)
                stages.end("send")
                if chunk.last:
                    break
                chunk = await self._next_chunk(drain)
                stages.end("fold")
            if outs:
                await producer.commit(self._offsets.after(offsets), self._membership)
            stages.end("commit")
        return chunk, outs

    async def _ensure(self, chunk: Chunk) -> None:
        for spec in chunk.topics:
            await self._log.ensure_topic(spec)

    async def _commit(self, producer: TransactionalProducer) -> None:
        """The offsets of what called for no output."""
        await self._jointly(producer, (), {})
        self._offsets.committed()

    async def _next_chunk(self, drain: Drain) -> Chunk:
        """The next chunk, made in a thread; raises `_Left` where the shard was abandoned meanwhile.

        Shielded: a thread can't be cancelled, and whoever folds this shard next has to wait for it.
        """
        self.folding = asyncio.ensure_future(self._offload(drain.next_chunk))
        chunk = await asyncio.shield(self.folding)
        self.folding = None
        if self.abandon.is_set():
            raise _Left
        return chunk
