"""A consumer group of the memory log: who is in it, the range assignment, and the rebalance that hands it out.

A rebalance is eager, as aiokafka's: everybody gives up everything, then everybody is told the whole new assignment. A
killed member keeps its place, and holds a rebalance up, until it is expired (Kafka: its session timeout).
"""

import asyncio
from collections.abc import Coroutine, Sequence
from itertools import pairwise
from typing import Any, Protocol

from contracts.records import TopicPartition
from services.adapters.memory.cluster import Cluster
from services.runtime.log import Membership

_NOTHING: frozenset[TopicPartition] = frozenset()


class Seat(Protocol):
    """What a group asks of its members."""

    @property
    def id(self) -> str: ...

    @property
    def instance_id(self) -> str | None: ...

    @property
    def present(self) -> bool:
        """Neither killed nor closed."""
        ...

    def wants(self, topic: str) -> bool: ...

    def revoke(self) -> Coroutine[Any, Any, None]: ...

    def assign(self, partitions: frozenset[TopicPartition]) -> Coroutine[Any, Any, None]: ...


class Group:
    """The coordinator of one group."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._members: list[Seat] = []
        self._assignment: dict[str, frozenset[TopicPartition]] = {}
        self._outdated = False
        self.generation = 0
        self._successors: list[Seat] = []
        self._task: asyncio.Task[None] | None = None

    def holds(self, member: Seat) -> bool:
        """Whether the member is in the group: neither expired nor displaced."""
        return member in self._members

    def takes(self, membership: Membership) -> bool:
        """Whether the group goes by it: nobody else has come, left, or taken the member's instance id since."""
        ids = {member.id for member in self._members}
        return membership.generation == self.generation and membership.member_id in ids

    def is_displaced(self, member: Seat) -> bool:
        """Whether another member has its instance id now: then it may not come back."""
        return member.instance_id is not None and any(
            other is not member and other.instance_id == member.instance_id for other in self._members
        )

    def join(self, member: Seat) -> None:
        """A static member takes the place of the one before it, without a rebalance (KIP-345)."""
        for place, old in enumerate(self._members):
            if old.instance_id is not None and old.instance_id == member.instance_id:
                self._members[place] = member
                self._assignment[member.id] = self._assignment.pop(old.id, _NOTHING)
                self._successors.append(member)
                self._work()
                return
        self._members.append(member)
        self._rebalance()

    def leave(self, member: Seat) -> None:
        """Gives the place up at once; a static member's is kept until its successor comes or it is expired."""
        if member.instance_id is None:
            self.expire(member)

    def expire(self, member: Seat) -> None:
        """The member is out, whatever it believes."""
        if member in self._members:
            self._members.remove(member)
            self._rebalance()

    def topic_created(self, topic: str) -> None:
        """A pattern may want it, or a name that came before its topic."""
        if any(member.wants(topic) for member in self._members):
            self._rebalance()

    def _rebalance(self) -> None:
        self._outdated = True
        self._work()

    def _work(self) -> None:
        self._cluster.wake()
        if self._task is None or self._task.done():
            self._task = self._cluster.spawn(self._until_settled())

    async def _until_settled(self) -> None:
        while self._outdated or self._successors:
            if not self._outdated:
                member = self._successors.pop(0)
                await self._tell(member, member.assign(self._assignment.get(member.id, _NOTHING)))
                continue
            self._outdated = False
            present = [member for member in self._members if member.present]
            await asyncio.gather(*(self._tell(member, member.revoke()) for member in present))
            while not self._outdated and not all(member.present for member in self._members):
                await self._cluster.changed()
            if not self._outdated:
                self._successors.clear()
                self.generation += 1
                self._assignment = self._hand_out()
                given = [(member, self._assignment[member.id]) for member in self._members]
                await asyncio.gather(*(self._tell(member, member.assign(held)) for member, held in given))

    async def _tell(self, member: Seat, call: Coroutine[Any, Any, None]) -> None:
        """Returns when the member has taken it, or is out: a frozen one holds nobody up for longer than its session."""
        task = self._cluster.spawn(call)
        while not task.done() and member in self._members:
            await self._cluster.changed_or_done(task)

    def _hand_out(self) -> dict[str, frozenset[TopicPartition]]:
        held: dict[str, list[TopicPartition]] = {member.id: [] for member in self._members}
        for topic, state in self._cluster.topics.items():
            wanting = sorted(
                (member for member in self._members if member.wants(topic)),
                key=lambda member: member.instance_id or member.id,
            )
            shares = range_shares(len(state.partitions), len(wanting))
            for member, share in zip(wanting, shares, strict=True):
                held[member.id] += [TopicPartition(topic, partition) for partition in share]
        return {member: frozenset(partitions) for member, partitions in held.items()}


def range_shares(partitions: int, members: int) -> Sequence[range]:
    """Kafka's range assignor for one topic: consecutive runs, the first few members one longer."""
    if members == 0:
        return ()
    share, longer = divmod(partitions, members)
    begins = [index * share + min(index, longer) for index in range(members + 1)]
    return [range(begin, end) for begin, end in pairwise(begins)]
