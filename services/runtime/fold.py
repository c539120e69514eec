"""The Fold loop: poll → fold → transaction, one shard at a time (architecture.md §3).

Owns what a folded service must offer, and which shards run here: shard n runs while partition n of every topic is
assigned to us. What a shard does, step by step and why, stands in `loops.shard`; joining and leaving in `loops.group`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from contracts.catalog import TopicSpec
from contracts.records import Out, Record, TopicPartition
from services.runtime.backoff import SYSTEM_RANDOM, Backoff, Random
from services.runtime.clock import Clock
from services.runtime.deadline import Deadline
from services.runtime.failures import Fatal, Fenced
from services.runtime.health import Gate, Health
from services.runtime.log import GroupMember, Log
from services.runtime.loops.events import FOLD_SHARDS, ShardFenced
from services.runtime.loops.group import LEAVE_GRACE_SECONDS, REVOKE_SECONDS, Worker, stay_in_group
from services.runtime.loops.joint import JointTransactions
from services.runtime.loops.shard import Shard

T = TypeVar("T")

FENCED_GRACE_SECONDS: Final = 15.0  # longer than a session: whoever owns the shard now has joined by then


class Fold(Protocol):
    """The state of one shard and the pure function over it. Called from one thread at a time, never the loop's."""

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
        """Folds the records in order and yields what to write, lazily: state changes as the iterator is drained.

        A `TopicSpec` asks for a topic that must exist before the transaction commits. With no records it does what is
        due at `now_ms`. If the transaction fails, the loop drops this state and restores it.
        """
        ...

    def due_ms(self) -> int | None:
        """The instant at which `handle([], now)` has something to do, None where nothing is planned."""
        ...


class FoldService(Protocol):
    """What a service must say for its shards to be folded. Shard n owns partition n of every topic."""

    group: str
    topics: Sequence[str]
    transaction_timeout_seconds: float
    records_max: int

    async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
        """The state exactly at the committed offsets (topic → next offset; absent = from the beginning)."""
        ...


@runtime_checkable
class Watching(Protocol):
    """What a `FoldService` may offer besides: it is shown committed state, to make checkpoints and metrics of it."""

    async def committed(self, shard: int, fold: Fold, offsets: Mapping[str, int], *, stopping: bool) -> None:
        """The fold stands exactly at these offsets (topic → next offset), and they are committed.

        Awaited after each commit, now and then while there is nothing to fold, and once more with `stopping` when the
        shard ends because the service was asked to stop. Nothing folds until it returns, so be short, unless
        `stopping`; look at the fold in an `Offload`; keep no reference to it, because a shard that is lost must be
        freed. What fails is this method's business: it raises nothing but bugs.
        """
        ...

    def ended(self, shard: int) -> None:
        """The shard is no longer folded here: what is shown of it goes."""
        ...


class Offload(Protocol):
    """Runs a function where it does not hold up the loop: `asyncio.to_thread`, or in place for simulations."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def run_folds(
    log: Log,
    service: FoldService,
    *,
    clock: Clock,
    health: Health,
    stopping: asyncio.Event,
    random: Random = SYSTEM_RANDOM,
    instance_id: str | None = None,
    offload: Offload = asyncio.to_thread,
) -> None:
    """Joins `service.group` and folds the shards that it assigns to us, until `stopping` is set.

    Returns when the transactions under way have ended and the group is left. Raises `Fatal` where the operator or a
    programmer must act; everything else is retried here.
    """

    def backoff() -> Backoff:
        return Backoff(base_seconds=0.1, cap_seconds=30.0, random=random)

    def shard(number: int, joint: JointTransactions) -> Shard:
        return Shard(
            number, service, log, joint,
            clock=clock, health=health, backoff=backoff(), offload=offload, watching=watching,
        )  # fmt: skip

    async def join() -> GroupMember:
        await _check_partitions(log, service)
        return await log.join(service.group, listener=folds, topics=service.topics, instance_id=instance_id)

    watching = service if isinstance(service, Watching) else None
    folds = _Folds(service, shard, clock, health.gate(service.group))
    await stay_in_group(join, folds, stopping=stopping, clock=clock, backoff=backoff())


async def _check_partitions(log: Log, service: FoldService) -> None:
    counts = {topic: await log.partitions(topic) for topic in service.topics}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        shown = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
        raise Fatal(
            f"{service.group} needs topics with one and the same number of partitions, but {shown}. "
            "`usher topics` creates what is missing and says what differs"
        )


class _Folds(Worker):
    """The shards that run here. Every rebalance is eager: all end, then those that are assigned start."""

    def __init__(
        self, service: FoldService, make: Callable[[int, JointTransactions], Shard], clock: Clock, gate: Gate
    ) -> None:
        super().__init__(service.group)
        self._topics = service.topics
        self._make = make
        self._clock = clock
        self._gate = gate
        self._running: dict[int, tuple[Shard, asyncio.Task[None]]] = {}
        self._unrestored: set[int] = set()
        self._leftover: dict[int, asyncio.Future[Any]] = {}
        self._doubts: set[asyncio.Task[None]] = set()

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        await self._end(set(self._running))  # none after a revoke; if one does run, its positions are undefined now
        numbers = {partition.partition for partition in partitions}
        ours = {n for n in numbers if all(TopicPartition(topic, n) in partitions for topic in self._topics)}
        self._unrestored = set(ours)
        joint = JointTransactions(len(ours), self._clock)
        for number in sorted(ours):
            shard = self._make(number, joint)
            self._running[number] = shard, asyncio.create_task(self._run(shard))
        self._open_gate()

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        for doubt in self._doubts:
            doubt.cancel()
        self._gate.close()
        await self._end({partition.partition for partition in partitions})
        self._show()

    async def finish(self) -> None:
        for shard, _ in self._running.values():
            shard.stop()
        if tasks := [task for _, task in self._running.values()]:
            await asyncio.wait(tasks)

    async def _end(self, numbers: set[int]) -> None:
        """Ends these shards within `REVOKE_SECONDS`: in order if they nearly are, else abandoned, else cancelled.

        A thread that still folds then is left behind with a state that nobody will write from; whoever folds its
        shard here next waits for it, so that a state is never held twice.
        """
        ending = {number: self._running.pop(number) for number in numbers & self._running.keys()}
        self._unrestored -= numbers
        tasks = [task for _, task in ending.values()]
        deadline = Deadline(self._clock, REVOKE_SECONDS)
        for shard, _ in ending.values():
            shard.finish.set()
        if not await deadline.ended(*tasks, at_most_seconds=LEAVE_GRACE_SECONDS):
            for shard, _ in ending.values():
                shard.abandon.set()
            if not await deadline.ended(*tasks):
                await Deadline(self._clock, LEAVE_GRACE_SECONDS).end(*tasks)
        for number, (shard, _) in ending.items():
            if shard.folding is not None and not shard.folding.done():
                self._leftover[number] = shard.folding

    async def _run(self, shard: Shard) -> None:
        """A shard's task: never raises, since nobody awaits it."""
        try:
            if (leftover := self._leftover.pop(shard.number, None)) is not None:
                await asyncio.wait((leftover,))
            await shard.run(await self.member(), lambda: self._restored(shard.number))
        except Fenced as error:
            ShardFenced(self.group, shard.number, str(error)).emit()
            if not shard.finish.is_set():  # else the rebalance that answers the question is under way
                self._running.pop(shard.number, None)
                self._show()
                doubt = asyncio.create_task(self._doubt())
                self._doubts.add(doubt)
                doubt.add_done_callback(self._doubts.discard)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must end the loop loudly
            self.fail(error)

    async def _doubt(self) -> None:
        """After a fence: a rebalance tells us who the owner is, and ends this wait.

        If none comes, there may be no other owner: a transaction that outlived its timeout (a laptop that slept) is
        fenced by the broker. We may not know it from here, so the group decides: it gives out the shard anew.
        """
        await self._clock.sleep(FENCED_GRACE_SECONDS)
        self.join_anew()

    def _restored(self, number: int) -> None:
        self._unrestored.discard(number)
        self._open_gate()

    def _open_gate(self) -> None:
        if not self._unrestored:
            self._gate.open()
        self._show()

    def _show(self) -> None:
        FOLD_SHARDS.set(len(self._running.keys() - self._unrestored), group=self.group)
