"""Wakes whoever waits for records of certain partitions, and nobody else. Used by the member and the reader.

aiokafka wakes every waiting `getmany` at every fetch; with a task for each of a thousand partitions that would be a
million looks a second. So nobody waits in `getmany`: pollers wait here, and look (at once) when there is something.
"""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.adapters.kafka import internals


class Arrivals:
    """One consumer's. Looking and beginning to wait happen without an await between them: no wake is missed."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._waiting: dict[asyncio.Future[None], frozenset[TopicPartition]] = {}
        self._by_partition: dict[TopicPartition, set[asyncio.Future[None]]] = {}
        self._task = asyncio.ensure_future(self._watch())

    async def within(self, partitions: frozenset[TopicPartition], seconds: float) -> None:
        """Returns when one of the partitions may have something, or when the time is over."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for partition in partitions:
            self._by_partition.setdefault(partition, set()).add(waiter)
        self._waiting[waiter] = partitions
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        finally:
            self._forget(waiter)

    def wake(self, partitions: Iterable[TopicPartition]) -> None:
        """Whoever waits for one of these looks again."""
        for partition in partitions:
            for waiter in self._by_partition.get(partition, ()):
                _finish(waiter)

    def wake_all(self) -> None:
        """Everybody looks again."""
        for waiter in self._waiting:
            _finish(waiter)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))
        self.wake_all()

    async def _watch(self) -> None:
        while True:
            try:
                await internals.arrival(self._consumer)
            except KafkaError:
                self.wake_all()  # the consumer keeps the error for whoever looks next
            else:
                self.wake(internals.arrived(self._consumer))

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        for partition in self._waiting.pop(waiter):
            waiters = self._by_partition[partition]
            waiters.discard(waiter)
            if not waiters:
                del self._by_partition[partition]


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
