"""What all clients of one memory broker share: topics, committed offsets, owners of transactional ids, waiting, faults.

Used by the producers, members and readers of this package; tests and simulations hold it through `MemoryBroker`.
"""

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Literal

from contracts import codes
from contracts.catalog import TopicSpec
from contracts.partitioning import default_partition
from contracts.records import Out, TopicPartition
from services.adapters.memory.partition import PartitionLog, Transaction
from services.adapters.topic_form import MESSAGE_BYTES, topic_settings
from services.runtime.clock import Clock
from services.runtime.failures import Rejected, Unavailable

Act = Literal["initialise", "send", "offsets", "commit", "abort", "create", "delete", "poll", "read", "ask"]

# Kafka counts the batch, not the record: 61 bytes of its head, some 20 of the record's own lengths and deltas.
RECORD_OVERHEAD_BYTES: Final = 61 + 21


class Faults:
    """Called around every call that a broker would serve. Override, and raise `Unavailable` to fail one.

    Raised from `before`, nothing has happened; from `after`, everything has: the outcome that a caller can't know.
    `poll`, `read` and `ask` (offsets, partitions, topics) change nothing and have no `after`.
    """

    def before(self, client: str, act: Act) -> None:
        """`client` is about to do `act`."""

    def after(self, client: str, act: Act) -> None:
        """`act` of `client` has had its effect and is about to be acknowledged."""

    def delay_seconds(self, client: str, act: Act) -> float:  # noqa: ARG002 - for who overrides it
        """How long the request of `act` is under way before anything comes of it."""
        return 0.0


@dataclass(slots=True, eq=False)
class Client:
    """One process, as the broker sees it. `callbacks` are the listener calls that die with it."""

    name: str
    alive: bool = True
    callbacks: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass(slots=True)
class Owner:
    """Who holds a transactional id: the newest epoch, and its open transaction."""

    epoch: int = -1
    open: Transaction | None = None


@dataclass(slots=True)
class Topic:
    """One topic: its partitions and its settings in the broker's names."""

    partitions: list[PartitionLog]
    settings: dict[str, str]
    keyless: int = 0  # records without key or partition go round


class Cluster:
    """The broker's state. Every change calls `wake`, and whoever waits for it looks again."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self.clock = clock
        self.faults = faults
        self.topics: dict[str, Topic] = {}
        self.committed: dict[str, dict[TopicPartition, int]] = {}
        self.owners: dict[str, Owner] = {}
        self._waiters: dict[asyncio.Future[None], Collection[TopicPartition] | None] = {}
        self._numbers = count(1)
        self._context = copy_context()  # of whoever made the broker: its tasks are no client's

    def next_number(self) -> int:
        """For names that no two may share."""
        return next(self._numbers)

    async def turn(self, client: Client, act: Act) -> None:
        """Where a request would cross the network: others run, and the call may fail."""
        await self.clock.sleep(self.faults.delay_seconds(client.name, act))
        self.check_alive(client)
        self.faults.before(client.name, act)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs what the broker does by itself."""
        return asyncio.get_running_loop().create_task(work, context=self._context)

    def check_alive(self, client: Client) -> None:
        """Raises `Unavailable` where the client was killed: a dead process has no effects."""
        if not client.alive:
            raise Unavailable(f"{client.name} was killed")

    def acknowledge(self, client: Client, act: Act) -> None:
        """Everybody has seen the effect; whether the caller does is for the faults to say."""
        self.faults.after(client.name, act)

    def create(self, spec: TopicSpec) -> bool:
        """Whether the topic is new."""
        if spec.name in self.topics:
            return False
        partitions = [PartitionLog(TopicPartition(spec.name, index)) for index in range(spec.partitions)]
        self.topics[spec.name] = Topic(partitions, topic_settings(spec))
        return True

    def partition(self, name: TopicPartition) -> PartitionLog:
        """Raises `Unavailable` where there is no such topic or partition."""
        topic = self.topics.get(name.topic)
        if topic is None or not 0 <= name.partition < len(topic.partitions):
            raise Unavailable(f"there is no partition {name.topic}/{name.partition}")
        return topic.partitions[name.partition]

    def append(self, outs: Sequence[Out], transaction: Transaction | None) -> None:
        """All or none; raises `Rejected` and `Unavailable` as the port says."""
        places = [self._place(out) for out in outs]
        now_ms = self.clock.now_ms()
        for out, place in zip(outs, places, strict=True):
            place.append(out, now_ms, transaction)
        self.wake({place.name for place in places})

    def fence(self, transactional_id: str) -> None:
        """Whoever held the id is fenced from here on; its open transaction is aborted."""
        owner = self.owners.setdefault(transactional_id, Owner())
        owner.epoch += 1
        self.settle(owner, commit=False)

    def settle(self, owner: Owner, *, commit: bool) -> None:
        """Ends the owner's open transaction, if any; its group offsets count from here on if it commits."""
        transaction, owner.open = owner.open, None
        if transaction is None:
            return
        transaction.settle(commit=commit)
        for group, offsets in transaction.offsets.items() if commit else ():
            self.committed.setdefault(group, {}).update(offsets)
        self.wake({partition.name for partition in transaction.partitions})

    async def stable_offsets(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The group's committed offsets, as soon as no open transaction has added others."""
        wanted = list(partitions)
        while self._undecided(group).intersection(wanted):
            await self.changed()
        committed = self.committed.get(group, {})
        return {partition: committed[partition] for partition in wanted if partition in committed}

    def _undecided(self, group: str) -> set[TopicPartition]:
        transactions = [owner.open for owner in self.owners.values() if owner.open is not None]
        return {partition for transaction in transactions for partition in transaction.offsets.get(group, ())}

    def wake(self, touched: Collection[TopicPartition] | None = None) -> None:
        """Lets everybody look again who waits for one of these partitions, or everybody."""
        for waiter, wanted in list(self._waiters.items()):
            if touched is None or wanted is None or any(partition in touched for partition in wanted):
                del self._waiters[waiter]
                if not waiter.done():
                    waiter.set_result(None)

    async def changed(self) -> None:
        """Returns after the next `wake`."""
        await self._waiter()

    async def changed_or_done(self, task: asyncio.Task[None]) -> None:
        """Returns after the next `wake`, or when the task is done."""
        waiter = self._waiter()
        try:
            await asyncio.wait((waiter, task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiters.pop(waiter, None)

    async def changed_within(self, seconds: float, wanted: Collection[TopicPartition]) -> None:
        """Returns after the next `wake` of one of these, or when `seconds` of the broker's clock have passed."""
        waiter = self._waiter(wanted)
        sleep = asyncio.ensure_future(self.clock.sleep(seconds))
        try:
            await asyncio.wait((waiter, sleep), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            self._waiters.pop(waiter, None)

    def _waiter(self, wanted: Collection[TopicPartition] | None = None) -> asyncio.Future[None]:
        """Registered at once: a wake between the caller's last look and its wait is not missed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = wanted
        return waiter

    def _place(self, out: Out) -> PartitionLog:
        topic = self.topics.get(out.topic)
        if topic is None:
            raise Unavailable(f"there is no topic {out.topic}")
        size = (
            len(out.key or b"")
            + len(out.value or b"")
            + sum(len(name) + len(value) + 4 for name, value in out.headers)
            + RECORD_OVERHEAD_BYTES
        )
        if size > (limit := int(topic.settings[MESSAGE_BYTES])):
            raise Rejected(codes.MESSAGE_TOO_LARGE, f"{size} bytes for {out.topic}, which takes {limit}")
        if out.partition is not None:
            return self.partition(TopicPartition(out.topic, out.partition))
        if out.key is not None:
            return topic.partitions[default_partition(out.key, len(topic.partitions))]
        topic.keyless += 1
        return topic.partitions[topic.keyless % len(topic.partitions)]
