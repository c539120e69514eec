"""One member of a group of the memory log: implements `GroupMember`, and `Seat` for its group."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import copy_context
from typing import Any

from contracts.records import Record, TopicPartition
from services.adapters.memory.cluster import Client, Cluster
from services.adapters.memory.group import Group
from services.runtime.failures import Fatal, Unavailable
from services.runtime.log import AssignmentListener, Membership


class MemoryMember:
    """Keeps what it was last told to hold, even where the group has meanwhile expired it: as a real zombie would."""

    def __init__(
        self,
        cluster: Cluster,
        client: Client,
        group: Group,
        group_name: str,
        *,
        id: str,
        instance_id: str | None,
        wants: Callable[[str], bool],
        listener: AssignmentListener,
    ) -> None:
        self.id = id
        self.instance_id = instance_id
        self.wants = wants
        self._cluster = cluster
        self._client = client
        self._group = group
        self._offsets = cluster.committed.setdefault(group_name, {})
        self._listener = listener
        self._group_name = group_name
        self._membership: Membership | None = None
        self._held: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int] = {}
        self._context = copy_context()  # of the process that joins: its listener runs there, not in the broker
        self._one_call = asyncio.Lock()  # rebalance and close both call the listener
        self._listener_error: BaseException | None = None
        self._closed = False
        self._turns = 0

    @property
    def present(self) -> bool:
        return self._client.alive and not self._closed

    async def poll(
        self, partitions: Iterable[TopicPartition], *, records_max: int, timeout_seconds: float
    ) -> list[Record]:
        wanted = list(partitions)
        deadline = self._cluster.clock.monotonic_seconds() + timeout_seconds
        await self._cluster.turn(self._client, "poll")
        while True:
            self._check()
            found = self._take(wanted, records_max)
            left_seconds = deadline - self._cluster.clock.monotonic_seconds()
            if found or left_seconds <= 0:
                return found
            await self._cluster.changed_within(left_seconds, wanted)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition in self._held:
            self._positions[partition] = offset
            self._cluster.wake((partition,))

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self._cluster.turn(self._client, "ask")
        return await self._cluster.stable_offsets(self._group_name, partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._cluster.turn(self._client, "commit")
        still = {partition: offset for partition, offset in offsets.items() if partition in self._held}
        if not still:
            return
        if not self._group.holds(self):
            raise Unavailable(f"{self.id} is no longer in the group")
        self._offsets.update(still)
        self._cluster.acknowledge(self._client, "commit")

    def assigned(self) -> frozenset[TopicPartition]:
        return self._held

    def membership(self) -> Membership:
        assert self._membership is not None, "nothing was assigned yet"
        return self._membership

    def behind(self, partition: TopicPartition) -> int | None:
        position = self._positions.get(partition)
        return None if position is None else self._cluster.partition(partition).end - position

    async def close(self) -> None:
        if not self.present:
            return
        self._closed = True
        await self.revoke()
        self._group.leave(self)
        self._cluster.wake()

    def expire(self) -> None:
        """Its session times out: the group goes on without it. Alive, it does not know yet."""
        self._group.expire(self)

    async def heartbeat(self) -> None:
        """Learns whether it was expired: then it gives up what it believed to hold and joins again.

        A displaced one learns that from its next poll.
        """
        if not self._group.holds(self):
            await self.revoke()
            if self.present and not self._group.is_displaced(self):
                self._group.join(self)

    async def revoke(self) -> None:
        async with self._one_call:
            if self._held:
                await self._call(self._listener.on_revoked(self._held))
            self._held = frozenset()
            self._positions.clear()
            self._cluster.wake()

    async def assign(self, partitions: frozenset[TopicPartition]) -> None:
        async with self._one_call:
            if self.present:
                self._held = partitions
                self._membership = Membership(self._group_name, self._group.generation, self.id, self.instance_id)
                await self._call(self._listener.on_assigned(partitions))

    async def _call(self, callback: Coroutine[Any, Any, None]) -> None:
        """Runs a listener's callback as a task that a kill can end; what it raises is for the next poll."""
        if not self._client.alive:
            callback.close()
            return
        task = asyncio.get_running_loop().create_task(callback, context=self._context)
        self._client.callbacks.add(task)
        try:
            await asyncio.wait((task,))
        finally:
            self._client.callbacks.discard(task)
        if not task.cancelled():
            self._listener_error = self._listener_error or task.exception()

    def _check(self) -> None:
        self._cluster.check_alive(self._client)
        if self._listener_error is not None:
            raise self._listener_error
        if self.present and self._group.is_displaced(self):
            raise Fatal(f"another member has the instance id {self.instance_id}: give each process its own")

    def _take(self, wanted: list[TopicPartition], records_max: int) -> list[Record]:
        """Starts with another partition each time, so that a busy one starves no other."""
        self._turns += 1
        first = self._turns % len(wanted) if wanted else 0
        found: list[Record] = []
        for partition in wanted[first:] + wanted[:first]:
            position = self._positions.get(partition)
            if position is None or len(found) == records_max:
                continue
            records, self._positions[partition] = self._cluster.partition(partition).read(
                position, records_max - len(found), committed_only=True
            )
            found += records
        return found
