"""The port to the log: what the two loops, the tools and the views may ask of Kafka, and nothing more.

Implemented by `adapters.kafka` and `adapters.memory`; one conformance suite holds both to every sentence here. Topic
names carry no prefix; an offset is always the *next* one to read. All calls are made from one event loop.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from contracts.catalog import TopicSpec
from contracts.records import Out, Record, TopicPartition


@dataclass(frozen=True, slots=True)
class Membership:
    """Who a member is in its group under one assignment. The next rebalance, or a successor, makes it void."""

    group: str
    generation: int
    member_id: str
    instance_id: str | None


class Producer(Protocol):
    """An idempotent producer without transactions (acks=all)."""

    async def send(self, outs: Sequence[Out]) -> None:
        """Writes all, in order for each partition, and returns when every one is durable.

        Raises `Rejected`(message too large) before anything of the call is written, else `Unavailable`.
        """
        ...

    async def close(self) -> None: ...


class TransactionalProducer(Protocol):
    """The one writer under its transactional id. Making it fences every earlier producer of the same id.

    Every method may raise `Fenced` (another owner exists: stop, drop the state, never re-initialise) or `Unavailable`
    (the outcome is unknown: throw producer and state away, initialise anew, restore).
    """

    async def begin(self) -> None: ...

    async def send(self, outs: Sequence[Out]) -> None:
        """Writes all within the open transaction and returns when every one is stored.

        Returning only then matters: offsets sent while a produce is pending cost retries of 100 ms each
        (aiokafka issue 1172).
        """
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int], by: Membership | str) -> None:
        """Adds the group's offsets and commits. When it returns, all of it is decided and durable.

        Offsets that a member adds are taken only as long as the group goes by its membership, else the transaction is
        refused with `Fenced`: so a transaction with offsets is safe from zombies, whoever's id it goes by (KIP-447).
        Under the bare name of a group nobody is checked.

        A moment later it is visible: on each partition all or none, not on all partitions at one instant. Whoever
        initialises this transactional id next sees all of it.
        """
        ...

    async def abort(self) -> None:
        """Ends the open transaction without effect; harmless where none is open."""
        ...

    async def close(self) -> None:
        """Frees the connection; an open transaction is left to be aborted by the next owner or its timeout."""
        ...


class AssignmentListener(Protocol):
    """Told of rebalances, in order. While a call runs the group waits: keep it short and await nothing of a poll.

    No call is made before `join` has returned to a caller that awaits it directly. What a call raises comes out of the
    member's next `poll`.
    """

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """These may belong to another member when this returns; until then they can be committed.

        Never called with nothing. Also called by `GroupMember.close`.
        """
        ...

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """The whole present assignment, maybe empty. It has no position: nothing of it comes until `seek`."""
        ...


class GroupMember(Protocol):
    """One member of one consumer group (range assignor, read_committed).

    Heartbeats go on whether or not anyone polls, so that a long fold loses nothing.
    """

    async def poll(
        self, partitions: Iterable[TopicPartition], *, records_max: int, timeout_seconds: float
    ) -> list[Record]:
        """Up to `records_max` records of these partitions, in order for each; [] after the timeout.

        A partition that isn't assigned (any more) yields nothing. Several polls of disjoint partitions may run at
        once. Raises `OffsetLost` where retention has passed the position: never skips. Raises `Fatal` where another
        member has come with the same instance id.
        """
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """The next poll starts there. The partition must be assigned, else nothing happens.

        A rebalance forgets positions: seek again whatever is assigned anew.
        """
        ...

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The group's committed offsets; partitions without one are absent. Asks the broker, stores nothing."""
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commits for the Deliver loop. Partitions no longer assigned are left out silently: never after revoke.

        Raises `Unavailable` also where the group has gone on without this member, which hears of it soon.
        """
        ...

    def assigned(self) -> frozenset[TopicPartition]: ...

    def membership(self) -> Membership:
        """That of the latest assignment: what a transaction's offsets are added by. Only after `on_assigned`."""
        ...

    def behind(self, partition: TopicPartition) -> int | None:
        """How many offsets lie between what was polled and the partition's end, as the latest fetch has found it.

        None where that is not known: not assigned, not sought, or nothing fetched yet. Asks nobody.
        """
        ...

    async def close(self) -> None:
        """Leaves: calls `on_revoked` with what is assigned, then stops. (aiokafka's own stop() would not call it.)

        A static member's partitions wait for its successor until the session timeout; all others are handed on now.
        """
        ...


class Reader(Protocol):
    """Reads given partitions from the beginning, in no group: restores, views, tools."""

    async def read(self, *, timeout_seconds: float, records_max: int = 10_000) -> list[Record]:
        """The next records; [] after the timeout, or sooner where only the position has moved.

        Raises `OffsetLost` where retention has passed the position: never skips.
        """
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...

    async def position(self, partition: TopicPartition) -> int:
        """The next offset; moves past aborted records and control records too, without any being returned."""
        ...

    async def close(self) -> None: ...


class Log(Protocol):
    """The log as a whole; made and closed by `app.py`. Use as an async context manager."""

    def producer(self) -> Awaitable[Producer]: ...

    def transactional_producer(
        self, transactional_id: str, *, timeout_seconds: float
    ) -> Awaitable[TransactionalProducer]:
        """Initialises it: any earlier owner is fenced and its open transaction is settled when this returns."""
        ...

    def join(
        self,
        group: str,
        *,
        listener: AssignmentListener,
        topics: Sequence[str] = (),
        pattern: str | None = None,
        instance_id: str | None = None,
        partition_bytes_max: int = 1 << 20,
    ) -> Awaitable[GroupMember]:
        """Joins by topic names or by a regular expression over whole (unprefixed) names, not both.

        With a pattern, topics made later join by themselves. `instance_id` makes a static member, and goes with topic
        names only: a static member that comes back gets what it had, and never a topic made while it was away.
        """
        ...

    def reader(self, partitions: Sequence[TopicPartition], *, committed_only: bool = True) -> Awaitable[Reader]:
        """From the beginning of each partition."""
        ...

    async def partitions(self, topic: str) -> int:
        """How many; 0 where there is no such topic."""
        ...

    async def topics(self) -> list[str]:
        """All topics that carry the prefix, without it."""
        ...

    async def end_offsets(
        self, partitions: Sequence[TopicPartition], *, committed_only: bool = False
    ) -> dict[TopicPartition, int]:
        """High watermarks; with `committed_only` the last stable offsets."""
        ...

    async def begin_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def committed(self, group: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """A group's committed offsets, asked from outside it; partitions without one are absent.

        Waits for offsets that a transaction has added and not yet decided: whoever restores to what it is told here
        will not be overtaken by one.
        """
        ...

    async def ensure_topic(self, spec: TopicSpec) -> None:
        """Creates it where it is missing and returns when it can be written; an existing one is left as it is."""
        ...

    async def differences(self, spec: TopicSpec) -> list[str]:
        """What a topic on the broker has otherwise than `spec`, in words; ["missing"] where it is."""
        ...

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Everything before these offsets may go."""
        ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
