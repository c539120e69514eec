"""Reads public topics from a given place on, read_committed: what the client, the tools and the audit stand on."""

from collections.abc import Callable, Mapping, Sequence

from contracts.records import Record, TopicPartition
from services.runtime.log import Log, Reader

Sink = Callable[[Record], None]


class TopicMissing(Exception):  # noqa: N818 - says what is wrong with the broker
    """A topic that must be there is not; `usher topics` makes it."""


class Follower:
    """Hands each record to a sink, in the order of its partition."""

    def __init__(self, log: Log, reader: Reader, partitions: Sequence[TopicPartition], sink: Sink) -> None:
        self._log = log
        self._reader = reader
        self._partitions = partitions
        self._sink = sink

    @classmethod
    async def open(
        cls, log: Log, topics: Sequence[str], sink: Sink, *, from_end: bool, start: Mapping[TopicPartition, int] = {}
    ) -> "Follower":
        """`start` names next offsets, which come before `from_end`. Raises `TopicMissing`."""
        partitions: list[TopicPartition] = []
        for topic in topics:
            count = await log.partitions(topic)
            if not count:
                raise TopicMissing(f"there is no topic {topic}: run `usher topics` first")
            partitions.extend(TopicPartition(topic, number) for number in range(count))
        reader = await log.reader(partitions)
        ends = await log.end_offsets(partitions) if from_end else {}
        for partition, offset in {**ends, **start}.items():
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
