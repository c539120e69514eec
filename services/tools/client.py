"""A client of the public topics, as any user of usher would write one: sends commands, awaits replies, folds topics.

Knows contracts and the log port only.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence

from contracts import catalog, codec
from contracts.records import Out, Record, TopicPartition
from services.runtime.log import Log, Producer, Reader

Sink = Callable[[Record], None]


class TopicMissing(Exception):  # noqa: N818 - says what is wrong with the broker
    """A topic that must be there is not; `usher topics` makes it."""


class Follower:
    """Reads topics from a given place on, read_committed, and hands each record to a sink."""

    def __init__(self, log: Log, reader: Reader, partitions: Sequence[TopicPartition], sink: Sink) -> None:
        self._log = log
        self._reader = reader
        self._partitions = partitions
        self._sink = sink

    @classmethod
    async def open(cls, log: Log, topics: Sequence[str], sink: Sink, *, from_end: bool) -> "Follower":
        """Raises `TopicMissing`."""
        partitions: list[TopicPartition] = []
        for topic in topics:
            count = await log.partitions(topic)
            if not count:
                raise TopicMissing(f"there is no topic {topic}: run `usher topics` first")
            partitions.extend(TopicPartition(topic, number) for number in range(count))
        reader = await log.reader(partitions)
        if from_end:
            for partition, offset in (await log.end_offsets(partitions)).items():
                reader.seek(partition, offset)
        return cls(log, reader, partitions, sink)

    async def pump(self, timeout_seconds: float = 0.2) -> int:
        """Reads once; returns how many records there were."""
        records = await self._reader.read(timeout_seconds=timeout_seconds)
        for record in records:
            self._sink(record)
        return len(records)

    async def catch_up(self) -> None:
        """Returns when everything that was in the log at the call has been handed on."""
        ends = await self._log.end_offsets(self._partitions)
        while await self._behind(ends):
            await self.pump()

    async def _behind(self, ends: Mapping[TopicPartition, int]) -> bool:
        for partition, end in ends.items():
            if await self._reader.position(partition) < end:
                return True
        return False

    async def close(self) -> None:
        await self._reader.close()


class Client:
    """Publishes commands and awaits their replies."""

    def __init__(self, log: Log, producer: Producer, source: str) -> None:
        self._log = log
        self._producer = producer
        self._source = source
        self._replies: dict[str, dict[str, object]] = {}
        self._follower: Follower | None = None

    @classmethod
    async def open(cls, log: Log, *, source: str = "/usher/cli") -> "Client":
        client = cls(log, await log.producer(), source)
        client._follower = await Follower.open(log, [catalog.REPLIES], client._keep, from_end=True)
        return client

    def _keep(self, record: Record) -> None:
        correlation = codec.header(record.headers, "ce_correlationid")
        if correlation is not None and record.value is not None:
            self._replies[correlation] = codec.decode(record.value, dict[str, object])

    async def publish(self, space: str, type_: str, data: object) -> str:
        """Writes one structured command and returns its id."""
        return await self.publish_event(space, {"type": type_, "data": data})

    async def publish_event(self, space: str, event: dict[str, object]) -> str:
        """Writes a structured event, filling in what CloudEvents asks for and the caller left out; returns its id."""
        command_id = str(event.get("id") or uuid.uuid4().hex)
        defaults: dict[str, object] = {"specversion": "1.0", "source": self._source, "spaceid": space}
        await self.publish_raw(space, codec.encode({**defaults, **event, "id": command_id}))
        return command_id

    async def publish_raw(self, space: str, value: bytes) -> None:
        """Writes the bytes as they are under the space's key."""
        headers = (("content-type", codec.STRUCTURED_TYPE.encode()),)
        await self._producer.send([Out(catalog.COMMANDS, space.encode(), value, headers)])

    async def reply(self, command_id: str, *, timeout_seconds: float = 30.0) -> dict[str, object]:
        """The reply to a command that was published after `open`; raises `TimeoutError`."""
        assert self._follower is not None
        async with asyncio.timeout(timeout_seconds):
            while command_id not in self._replies:
                await self._follower.pump()
        return self._replies.pop(command_id)

    async def call(self, space: str, type_: str, data: object, *, timeout_seconds: float = 30.0) -> dict[str, object]:
        """Publishes and awaits the reply."""
        command_id = await self.publish(space, type_, data)
        try:
            return await self.reply(command_id, timeout_seconds=timeout_seconds)
        except TimeoutError:
            raise TimeoutError(f"no reply to {type_} within {timeout_seconds:.0f} s: is control running?") from None

    async def close(self) -> None:
        if self._follower is not None:
            await self._follower.close()
        await self._producer.close()
