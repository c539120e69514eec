"""One member of a group as the lanes of this worker share it: what they ask and commit goes out for many at once.

Each lane stands for itself all the same: it hears of its own commit, and one that leaves takes no other's with it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from contracts.records import Record, TopicPartition
from services.runtime.log import GroupMember, Log
from services.runtime.together import Together


class _Done(NamedTuple):
    """A partition is done up to this offset; `is_ours` is asked when that goes out."""

    partition: TopicPartition
    offset: int
    is_ours: Callable[[], bool]


class SharedMember:
    """Made when the group is joined; ends with its member."""

    def __init__(self, member: GroupMember, log: Log, group: str) -> None:
        self._member = member
        self._log = log
        self._group = group
        self._asking = Together(self._standing)
        self._committing = Together(self._commit)

    async def poll(self, partition: TopicPartition, *, records_max: int, timeout_seconds: float) -> list[Record]:
        """As `GroupMember.poll`."""
        return await self._member.poll([partition], records_max=records_max, timeout_seconds=timeout_seconds)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """As `GroupMember.seek`."""
        self._member.seek(partition, offset)

    def behind(self, partition: TopicPartition) -> int | None:
        """As `GroupMember.behind`."""
        return self._member.behind(partition)

    async def standing(self, partition: TopicPartition) -> int:
        """The offset from which the partition's work goes on, by a question that was asked after this call."""
        return (await self._asking.ask([partition]))[partition]

    async def commit(self, partition: TopicPartition, offset: int, is_ours: Callable[[], bool]) -> None:
        """Returns when it is committed, or left out because the partition was no longer ours when its turn came.

        Before its turn the partition may go to another owner, who gets further, and come back: only `is_ours` can tell,
        and an older offset is never written over a newer one. `Unavailable` comes to all whose offsets went out
        together; any of them may have been taken.
        """
        await self._committing.ask([_Done(partition, offset, is_ours)])

    async def _standing(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        committed = await self._log.committed(self._group, partitions)
        fresh = [partition for partition in partitions if partition not in committed]
        return committed | (await self._log.begin_offsets(fresh) if fresh else {})

    async def _commit(self, done: Sequence[_Done]) -> None:
        offsets = {one.partition: one.offset for one in done if one.is_ours()}
        if offsets:
            await self._member.commit(offsets)
