"""Reads given partitions in no group: implements `Reader`."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaTimeoutError

from contracts.records import Record, TopicPartition
from services.adapters.kafka import internals
from services.adapters.kafka.admission import starting
from services.adapters.kafka.arrivals import Arrivals
from services.adapters.kafka.errors import translated
from services.adapters.kafka.fetched import records_of
from services.adapters.kafka.settings import KafkaSettings


class KafkaReader:
    """Made by `opened`. It never asks for positions that it was not given: the broker's answer is the only reset."""

    def __init__(
        self, settings: KafkaSettings, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._partitions = frozenset(settings.theirs(partition) for partition in partitions)
        self._arrivals = Arrivals(consumer)

    @classmethod
    async def opened(
        cls, settings: KafkaSettings, partitions: Sequence[TopicPartition], *, committed_only: bool
    ) -> "KafkaReader":
        """At the beginning of each partition; the topics must exist."""
        consumer = AIOKafkaConsumer(
            **settings.client(),
            auto_offset_reset="none",
            check_crcs=False,  # `fetched.py` has
            isolation_level="read_committed" if committed_only else "read_uncommitted",
            fetch_max_wait_ms=settings.fetch_wait_ms,
        )
        try:
            async with starting(settings, "opening a reader"):
                consumer.assign([settings.theirs(partition) for partition in partitions])
                await consumer.start()
                if not await consumer.seek_to_beginning():
                    raise KafkaTimeoutError(f"no answer where {', '.join(map(str, partitions))} begin")  # noqa: TRY301 - as aiokafka would
        except BaseException:
            await internals.stop(consumer)
            raise
        return cls(settings, consumer, partitions)

    async def read(self, *, timeout_seconds: float, records_max: int = 10_000) -> list[Record]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        before = await self._positions()
        while True:
            with translated("reading", self._partitions):
                internals.check_alive(self._consumer)
                found = await self._consumer.getmany(max_records=records_max)
            left_seconds = deadline - loop.time()
            if found or left_seconds <= 0 or await self._positions() != before:
                return [
                    record
                    for partition, messages in found.items()
                    for record in records_of(self._settings.ours(partition).topic, messages)
                ]
            await self._arrivals.within(self._partitions, left_seconds)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._consumer.seek(self._settings.theirs(partition), offset)

    async def position(self, partition: TopicPartition) -> int:
        with translated("asking for a position"):
            position: int = await self._consumer.position(self._settings.theirs(partition))
        return position

    async def close(self) -> None:
        await self._arrivals.close()
        await internals.stop(self._consumer)

    async def _positions(self) -> list[int]:
        """Positions are all known here: no wait."""
        return [await self._consumer.position(partition) for partition in self._partitions]
