"""The memory log as one process sees it: implements `Log` and `Reader`."""

import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from contracts.catalog import TopicSpec
from contracts.records import Record, TopicPartition
from services.adapters.memory.cluster import Client, Cluster
from services.adapters.memory.group import Group
from services.adapters.memory.member import MemoryMember
from services.adapters.memory.producers import MemoryProducer, MemoryTransactionalProducer
from services.adapters.topic_form import topic_differences
from services.runtime.log import AssignmentListener


class MemoryReader:
    """Implements `Reader`."""

    def __init__(
        self, cluster: Cluster, client: Client, positions: dict[TopicPartition, int], *, committed_only: bool
    ) -> None:
        self._cluster = cluster
        self._client = client
        self._positions = positions
        self._committed_only = committed_only

    async def read(self, *, timeout_seconds: float, records_max: int = 10_000) -> list[Record]:
        deadline = self._cluster.clock.monotonic_seconds() + timeout_seconds
        await self._cluster.turn(self._client, "read")
        before = dict(self._positions)
        while True:
            self._cluster.check_alive(self._client)
            found = self._take(records_max)
            left_seconds = deadline - self._cluster.clock.monotonic_seconds()
            if found or left_seconds <= 0 or self._positions != before:
                return found
            await self._cluster.changed_within(left_seconds, self._positions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition in self._positions, partition
        self._positions[partition] = offset
        self._cluster.wake((partition,))

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def close(self) -> None:
        """Nothing is held."""

    def _take(self, records_max: int) -> list[Record]:
        found: list[Record] = []
        for partition, position in self._positions.items():
            if len(found) == records_max:
                break
            records, self._positions[partition] = self._cluster.partition(partition).read(
                position, records_max - len(found), committed_only=self._committed_only
            )
            found += records
        return found


class MemoryLog:
    """One process's connection to a `MemoryBroker`, which makes it."""

    def __init__(self, cluster: Cluster, client: Client, groups: dict[str, Group]) -> None:
        self._cluster = cluster
        self._client = client
        self._groups = groups
        self._members: list[MemoryMember] = []

    @property
    def members(self) -> Sequence[MemoryMember]:
        """All that have joined through this connection."""
        return self._members

    async def producer(self) -> MemoryProducer:
        return MemoryProducer(self._cluster, self._client)

    async def transactional_producer(
        self, transactional_id: str, *, timeout_seconds: float
    ) -> MemoryTransactionalProducer:
        """The timeout passes only when a simulation says so: `MemoryBroker.time_out`."""
        assert timeout_seconds > 0, timeout_seconds
        return await MemoryTransactionalProducer.initialise(self._cluster, self._client, transactional_id, self._groups)

    async def join(
        self,
        group: str,
        *,
        listener: AssignmentListener,
        topics: Sequence[str] = (),
        pattern: str | None = None,
        instance_id: str | None = None,
        partition_bytes_max: int = 1 << 20,
    ) -> MemoryMember:
        assert bool(topics) != (pattern is not None), "either topics or a pattern"
        assert pattern is None or instance_id is None, "a static member would miss topics made while it was away"
        assert partition_bytes_max > 0, partition_bytes_max  # memory holds everything: no other use
        await self._cluster.turn(self._client, "ask")
        coordinator = self._groups.setdefault(group, Group(self._cluster))
        matching = re.compile(pattern) if pattern is not None else None
        member = MemoryMember(
            self._cluster,
            self._client,
            coordinator,
            group,
            id=f"{self._client.name}-{self._cluster.next_number():06}",
            instance_id=instance_id,
            wants=lambda topic: bool(matching.fullmatch(topic)) if matching else topic in topics,
            listener=listener,
        )
        self._members.append(member)
        coordinator.join(member)
        return member

    async def reader(self, partitions: Sequence[TopicPartition], *, committed_only: bool = True) -> MemoryReader:
        begins = await self.begin_offsets(partitions)
        return MemoryReader(self._cluster, self._client, begins, committed_only=committed_only)

    async def partitions(self, topic: str) -> int:
        await self._cluster.turn(self._client, "ask")
        found = self._cluster.topics.get(topic)
        return len(found.partitions) if found else 0

    async def topics(self) -> list[str]:
        await self._cluster.turn(self._client, "ask")
        return sorted(self._cluster.topics)

    async def end_offsets(
        self, partitions: Sequence[TopicPartition], *, committed_only: bool = False
    ) -> dict[TopicPartition, int]:
        await self._cluster.turn(self._client, "ask")
        found = {partition: self._cluster.partition(partition) for partition in partitions}
        return {name: log.last_stable if committed_only else log.end for name, log in found.items()}

    async def begin_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await self._cluster.turn(self._client, "ask")
        return {partition: self._cluster.partition(partition).begin for partition in partitions}

    async def committed(self, group: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await self._cluster.turn(self._client, "ask")
        return await self._cluster.stable_offsets(group, partitions)

    async def ensure_topic(self, spec: TopicSpec) -> None:
        await self._cluster.turn(self._client, "create")
        if self._cluster.create(spec):
            for group in self._groups.values():
                group.topic_created(spec.name)
        self._cluster.acknowledge(self._client, "create")

    async def differences(self, spec: TopicSpec) -> list[str]:
        await self._cluster.turn(self._client, "ask")
        topic = self._cluster.topics.get(spec.name)
        return topic_differences(spec, len(topic.partitions), topic.settings) if topic else ["missing"]

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        await self._cluster.turn(self._client, "delete")
        for partition, offset in before.items():
            self._cluster.partition(partition).delete_before(offset)
        self._cluster.wake(before)
        self._cluster.acknowledge(self._client, "delete")

    async def close(self) -> None:
        for member in self._members:
            await member.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
