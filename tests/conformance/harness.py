"""What the conformance suite needs of a log beside the port, and the few helpers that all its tests share."""

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from contracts.catalog import TopicSpec
from contracts.records import Out, Record, TopicPartition
from services.adapters.kafka import KafkaLog, KafkaSettings
from services.adapters.memory import MemoryBroker
from services.runtime.log import GroupMember, Log

DEADLINE_SECONDS = 30.0


class LogHarness(ABC):
    """One broker. `connect` is another process; everything connected is closed after the test."""

    kind: str

    def __init__(self) -> None:
        self._logs: list[Log] = []

    @abstractmethod
    def _open(self, client_name: str) -> Log: ...

    @abstractmethod
    async def pass_session_timeout(self, client_name: str) -> None:
        """Lets the session of members that left without a word time out."""

    @abstractmethod
    async def pass_transaction_timeout(self, transactional_id: str) -> None:
        """Lets an open transaction of 1 s time out."""

    def connect(self, client_name: str) -> Log:
        log = self._open(client_name)
        self._logs.append(log)
        return log

    async def close(self) -> None:
        for log in reversed(self._logs):
            await log.close()


class MemoryHarness(LogHarness):
    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.broker = MemoryBroker()

    def _open(self, client_name: str) -> Log:
        return self.broker.connect(client_name)

    async def pass_session_timeout(self, client_name: str) -> None:
        self.broker.expire(client_name)

    async def pass_transaction_timeout(self, transactional_id: str) -> None:
        self.broker.time_out(transactional_id)


class KafkaHarness(LogHarness):
    """On a real Kafka time passes by itself; the sessions are the shortest that a busy machine bears."""

    kind = "kafka"

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__()
        self._bootstrap_servers = bootstrap_servers

    def _open(self, client_name: str) -> Log:
        return KafkaLog(
            KafkaSettings(
                bootstrap_servers=self._bootstrap_servers,
                client_id=client_name.replace(" ", "-"),
                prefix="conformance",
                replication_factor=1,
                session_timeout_seconds=6,
                topics_refresh_seconds=1,
            )
        )

    async def pass_session_timeout(self, client_name: str) -> None:
        """It passes by itself."""

    async def pass_transaction_timeout(self, transactional_id: str) -> None:
        """The broker looks for timed-out transactions every 10 s."""


class Recording:
    """An `AssignmentListener` that keeps what it was told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Literal["revoked", "assigned"], frozenset[TopicPartition]]] = []
        self.when_revoked: Callable[[], None] = lambda: None

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.when_revoked()
        self.calls.append(("revoked", partitions))

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.calls.append(("assigned", partitions))

    @property
    def held(self) -> frozenset[TopicPartition]:
        """What the last call leaves."""
        return self.calls[-1][1] if self.calls and self.calls[-1][0] == "assigned" else frozenset()

    async def holds(self, partitions: frozenset[TopicPartition]) -> None:
        """Returns when exactly these are assigned."""
        await eventually(lambda: bool(self.calls) and self.calls[-1] == ("assigned", partitions), f"holds {partitions}")


async def eventually(condition: Callable[[], bool], what: str, *, seconds: float = DEADLINE_SECONDS) -> None:
    """Polls until the condition holds; fails, naming `what`, after the deadline."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"not in time: {what}"
        await asyncio.sleep(0.01)


async def becomes(ask: Callable[[], Awaitable[Any]], expected: object) -> None:
    """Asks until the answer is as expected: what was committed is visible a moment later."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while (answer := await ask()) != expected:
        assert asyncio.get_running_loop().time() < deadline, f"{answer}, not {expected}"
        await asyncio.sleep(0.01)


async def new_topic(
    log: Log,
    partitions: int = 1,
    *,
    name: str | None = None,
    cleanup: str = "delete",
    max_message_bytes: int = 1 << 20,
) -> str:
    """A topic that no other test has."""
    name = name or unique("topic")
    spec = TopicSpec(
        name=name,
        partitions=partitions,
        cleanup=cleanup,
        retention_ms=3_600_000,
        max_message_bytes=max_message_bytes,
    )
    await log.ensure_topic(spec)
    return name


def unique(what: str) -> str:
    return f"{what}.{uuid.uuid4().hex[:12]}.v1"


def out(topic: str, value: str, *, partition: int | None = 0, key: str | None = "k") -> Out:
    return Out(topic, None if key is None else key.encode(), value.encode(), (), partition)


def values(records: Sequence[Record]) -> list[str]:
    return [(record.value or b"").decode() for record in records]


async def read_all(
    log: Log, topic: str, partitions: int = 1, *, committed_only: bool = True, one_is_open: bool = False
) -> list[Record]:
    """Everything that was written, once it is visible; what is visible now where a transaction is open."""
    wanted = [TopicPartition(topic, index) for index in range(partitions)]
    ends = await log.end_offsets(wanted, committed_only=one_is_open and committed_only)
    reader = await log.reader(wanted, committed_only=committed_only)
    found: list[Record] = []
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while any([await reader.position(partition) < ends[partition] for partition in wanted]):
        assert asyncio.get_running_loop().time() < deadline, f"{topic} was not read to {ends}"
        found += await reader.read(timeout_seconds=0.2)
    await reader.close()
    return found


async def poll_until(member: GroupMember, partitions: Sequence[TopicPartition], count: int) -> list[Record]:
    """Polls until `count` records have come."""
    found: list[Record] = []
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while len(found) < count:
        assert asyncio.get_running_loop().time() < deadline, f"{len(found)} of {count} records came"
        found += await member.poll(partitions, records_max=1000, timeout_seconds=0.5)
    return found


async def seek_to_begin(log: Log, member: GroupMember, partitions: frozenset[TopicPartition]) -> None:
    for partition, offset in (await log.begin_offsets(sorted(partitions))).items():
        member.seek(partition, offset)


def whole(topic: str, *partitions: int) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(topic, index) for index in partitions)
