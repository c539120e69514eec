"""One member of one consumer group: implements `GroupMember` over an aiokafka consumer of its own.

aiokafka rebalances eagerly and stops the world: all is revoked, then all is assigned anew, and everything that a
partition had (position, pauses) is forgotten. So a partition is polled only from a seek of this assignment on.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as Theirs

from contracts.records import Record, TopicPartition
from services.adapters.kafka import internals
from services.adapters.kafka.arrivals import Arrivals
from services.adapters.kafka.errors import translated
from services.adapters.kafka.fetched import records_of
from services.adapters.kafka.memberships import membership_of
from services.adapters.kafka.settings import KafkaSettings
from services.adapters.kafka.topics import KafkaTopics
from services.runtime.failures import Fatal
from services.runtime.log import AssignmentListener, Membership

_NOTHING: frozenset[TopicPartition] = frozenset()
_FETCH_WAIT_MS_MAX: Final = 500
_MANY: Final = 100
_PAUSE_SECONDS_EACH: Final = 50e-6


class KafkaMember(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """The consumer is started and not subscribed; whoever makes this subscribes it, with this as its listener."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: KafkaTopics,
        consumer: AIOKafkaConsumer,
        *,
        group: str,
        instance_id: str | None,
        listener: AssignmentListener,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._consumer = consumer
        self._group = group
        self._instance_id = instance_id
        self._standing = internals.Standing(consumer)
        self._pauses = internals.Pauses(consumer)
        self._listener = listener
        self._arrivals = Arrivals(consumer)
        self._held = _NOTHING
        self._membership: Membership | None = None
        self._sought: set[Theirs] = set()
        self._one_call = asyncio.Lock()  # aiokafka's coordinator and `close` both call the listener
        self._failure: BaseException | None = None
        self._closed = False

    async def poll(
        self, partitions: Iterable[TopicPartition], *, records_max: int, timeout_seconds: float
    ) -> list[Record]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        wanted = frozenset(map(self._settings.theirs, partitions))
        while True:
            found = self._take(wanted, records_max)
            left_seconds = deadline - loop.time()
            if found or left_seconds <= 0:
                return found
            await self._arrivals.within(wanted, left_seconds)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        theirs = self._settings.theirs(partition)
        if partition in self._held and internals.fetchable(self._consumer, [theirs]):
            self._consumer.seek(theirs, offset)
            self._sought.add(theirs)
            self._arrivals.wake([theirs])

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._topics.committed(self._group, partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        still = {
            self._settings.theirs(partition): offset for partition, offset in offsets.items() if partition in self._held
        }
        if still:
            with translated(f"committing for {self._group}"):
                async with asyncio.timeout(self._settings.request_timeout_seconds):
                    await internals.commit(self._consumer, still)

    def assigned(self) -> frozenset[TopicPartition]:
        return self._held

    def membership(self) -> Membership:
        assert self._membership is not None, "nothing was assigned yet"
        return self._membership

    def behind(self, partition: TopicPartition) -> int | None:
        theirs = self._settings.theirs(partition)
        return internals.behind(self._consumer, theirs) if theirs in self._sought else None

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._revoke()
        await self._arrivals.close()
        await internals.stop(self._consumer)

    async def on_partitions_revoked(self, revoked: Iterable[Theirs]) -> None:
        """Called by aiokafka before it joins again; heartbeats go on meanwhile."""
        del revoked  # always everything
        await self._revoke()
        half_a_session_seconds = self._settings.session_timeout_seconds / 2
        if self._instance_id is not None and self._standing.thrown_out_within(half_a_session_seconds):
            self._failure = Fatal(f"another member has the instance id {self._instance_id}: give each process its own")
            self._arrivals.wake_all()
            raise self._failure  # ends aiokafka's coordination: it must not join again

    async def on_partitions_assigned(self, assigned: Iterable[Theirs]) -> None:
        """Called by aiokafka with the whole new assignment."""
        async with self._one_call:
            if self._closed:
                return
            self._held = frozenset(map(self._settings.ours, assigned))
            self._membership = membership_of(self._consumer, self._group, self._instance_id)
            # Each fetch names every partition: with two thousand, it costs 20 ms here and as much at the broker.
            wait_ms = max(self._settings.fetch_wait_ms, min(len(self._held), _FETCH_WAIT_MS_MAX))
            internals.set_fetch_wait(self._consumer, wait_ms)
            self._pauses.seconds = len(self._held) * _PAUSE_SECONDS_EACH if len(self._held) >= _MANY else 0.0
            await self._tell(self._listener.on_assigned, self._held)

    def _take(self, wanted: frozenset[Theirs], records_max: int) -> list[Record]:
        """What has arrived. Nothing in here waits, so nothing taken can be lost to a cancellation."""
        if self._failure is not None:
            raise self._failure
        with translated("polling", wanted):
            internals.check_alive(self._consumer)
            ready = internals.fetchable(self._consumer, wanted & self._sought)
            if not ready:
                return []
            found = internals.taken(self._consumer, ready, records_max)
        return [
            record
            for partition, messages in found.items()
            for record in records_of(self._settings.ours(partition).topic, messages)
        ]

    async def _revoke(self) -> None:
        async with self._one_call:
            self._sought.clear()
            if self._held:
                await self._tell(self._listener.on_revoked, self._held)
            self._held = _NOTHING

    async def _tell(
        self,
        callback: Callable[[frozenset[TopicPartition]], Coroutine[Any, Any, None]],
        partitions: frozenset[TopicPartition],
    ) -> None:
        """What it raises would only be logged by aiokafka: it is kept for the next poll."""
        call = asyncio.ensure_future(callback(partitions))
        await asyncio.wait((call,))
        if not call.cancelled():
            self._failure = self._failure or call.exception()
        self._arrivals.wake_all()
