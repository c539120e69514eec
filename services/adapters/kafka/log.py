"""The log on Kafka: implements `Log`. Keeps what it has opened and closes it."""

import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from contracts.catalog import TopicSpec
from contracts.records import TopicPartition
from services.adapters.kafka import internals
from services.adapters.kafka.admission import starting
from services.adapters.kafka.closing import all_closed
from services.adapters.kafka.member import KafkaMember
from services.adapters.kafka.producers import KafkaProducer, KafkaTransactionalProducer
from services.adapters.kafka.reader import KafkaReader
from services.adapters.kafka.settings import KafkaSettings
from services.adapters.kafka.topics import KafkaTopics
from services.runtime.log import AssignmentListener

# A fold or a lane may be busy for longer than any limit on polls: heartbeats say that we live, not polls.
_NEVER_MS: Final = 1_000_000_000_000
# A join waits at the broker for the slowest member: it must be answered before its request times out.
_REBALANCE_SHARE_OF_REQUEST: Final = 5 / 6


class _Closable(Protocol):
    async def close(self) -> None: ...


class KafkaLog:
    """One process's connection to a cluster; clients are made when they are needed."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topics = KafkaTopics(settings)
        self._opened: list[_Closable] = []

    async def producer(self) -> KafkaProducer:
        producer = KafkaProducer(self._settings, self._topics)
        self._opened.append(producer)
        await producer.started()
        return producer

    async def transactional_producer(
        self, transactional_id: str, *, timeout_seconds: float
    ) -> KafkaTransactionalProducer:
        producer = await KafkaTransactionalProducer.initialised(
            self._settings, self._topics, transactional_id, timeout_seconds
        )
        self._opened.append(producer)
        return producer

    async def join(
        self,
        group: str,
        *,
        listener: AssignmentListener,
        topics: Sequence[str] = (),
        pattern: str | None = None,
        instance_id: str | None = None,
        partition_bytes_max: int = 1 << 20,
    ) -> KafkaMember:
        assert bool(topics) != (pattern is not None), "either topics or a pattern"
        assert pattern is None or instance_id is None, "a static member would miss topics made while it was away"
        consumer = self._consumer(group, instance_id, partition_bytes_max)
        try:
            async with starting(self._settings, f"joining {group}"):
                await consumer.start()
        except BaseException:
            await internals.stop(consumer)
            raise
        member = KafkaMember(
            self._settings, self._topics, consumer, group=group, instance_id=instance_id, listener=listener
        )
        self._opened.append(member)
        # Last and without an await behind it: the listener is called only after the caller has the member.
        if pattern is not None:
            internals.outlive_a_change_of_topics(consumer)
            whole = re.escape(self._settings.full("")) + rf"(?:{pattern})\Z"
            consumer.subscribe(pattern=whole, listener=member)
        else:
            consumer.subscribe([self._settings.full(topic) for topic in topics], listener=member)
        return member

    async def reader(self, partitions: Sequence[TopicPartition], *, committed_only: bool = True) -> KafkaReader:
        reader = await KafkaReader.opened(self._settings, partitions, committed_only=committed_only)
        self._opened.append(reader)
        return reader

    async def partitions(self, topic: str) -> int:
        return (await self._topics.partitions([topic])).get(topic, 0)

    async def topics(self) -> list[str]:
        return await self._topics.names()

    async def end_offsets(
        self, partitions: Sequence[TopicPartition], *, committed_only: bool = False
    ) -> dict[TopicPartition, int]:
        return await self._topics.end_offsets(partitions, committed_only=committed_only)

    async def begin_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._topics.begin_offsets(partitions)

    async def committed(self, group: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._topics.committed(group, partitions)

    async def ensure_topic(self, spec: TopicSpec) -> None:
        await self._topics.ensure(spec)

    async def differences(self, spec: TopicSpec) -> list[str]:
        return await self._topics.differences(spec)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        await self._topics.delete_records(before)

    async def close(self) -> None:
        opened, self._opened = self._opened, []
        for one in reversed(opened):
            await one.close()
        await self._topics.close()
        await all_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _consumer(self, group: str, instance_id: str | None, partition_bytes_max: int) -> AIOKafkaConsumer:
        session_ms = round(self._settings.session_timeout_seconds * 1000)
        rebalance_seconds = self._settings.request_timeout_seconds * _REBALANCE_SHARE_OF_REQUEST
        return AIOKafkaConsumer(
            **self._settings.client(),
            group_id=self._settings.full(group),
            group_instance_id=instance_id,
            partition_assignment_strategy=(RangePartitionAssignor,),
            isolation_level="read_committed",
            check_crcs=False,  # `fetched.py` has
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 10,
            rebalance_timeout_ms=round(rebalance_seconds * 1000),
            max_poll_interval_ms=_NEVER_MS,
            metadata_max_age_ms=round(self._settings.topics_refresh_seconds * 1000),
            max_partition_fetch_bytes=partition_bytes_max,
            fetch_max_wait_ms=self._settings.fetch_wait_ms,
        )
