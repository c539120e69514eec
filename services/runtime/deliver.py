"""The Deliver loop: at least once, one task a partition, commits the highest finished offset (architecture.md §3).

Owns what a delivering service must offer, and which partitions have a task here. What such a task does stands in
`loops.lane`; joining and leaving in `loops.group`.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from contracts.records import Record, TopicPartition
from services.runtime.backoff import SYSTEM_RANDOM, Backoff, Random
from services.runtime.clock import Clock
from services.runtime.deadline import Deadline
from services.runtime.health import Gate, Health
from services.runtime.log import GroupMember, Log
from services.runtime.loops.backlog import Backlog
from services.runtime.loops.events import DELIVER_LANES
from services.runtime.loops.group import REVOKE_SECONDS, Worker, stay_in_group
from services.runtime.loops.lane import Lane, Runs, all_together
from services.runtime.loops.shared_member import SharedMember

SUSPENDED_SECONDS_MAX: Final = 60.0  # six sessions: a rebalance that takes longer is none that we take part in


class Deliver(Protocol):
    """Does I/O for the records of one partition at a time; different partitions run side by side."""

    async def assigned(self, partition: TopicPartition) -> None:
        """The partition is ours from here on."""
        ...

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        """Returns when every record has had its durable effect (or is in dead letters); then they are committed.

        Raises `Unavailable` to be called again with the same records after a backoff. Cancelled when the partition
        goes to another owner; goes on through a rebalance that gives it back to us.
        """
        ...

    async def revoked(self, partition: TopicPartition) -> None:
        """The partition is no longer ours; its task has ended."""
        ...


async def run_deliveries(
    log: Log,
    group: str,
    deliver: Deliver,
    *,
    clock: Clock,
    health: Health,
    stopping: asyncio.Event,
    topics: Sequence[str] = (),
    pattern: str | None = None,
    records_max: int = 500,
    runs: Runs = all_together,
    partition_bytes_max: int = 1 << 20,
    backlog: Backlog | None = None,
    handle_seconds_max: float = 3600.0,
    drain_seconds: float = 10.0,
    backoff_cap_seconds: float = 60.0,
    random: Random = SYSTEM_RANDOM,
    instance_id: str | None = None,
    skips_lost: bool = False,
) -> None:
    """Joins `group` by topic names or by pattern and hands each assigned partition's records to `deliver`.

    Runs until `stopping` is set. A `handle` under way then has `drain_seconds` to end, and is cancelled after them;
    its records come again to the next owner. One that is silent for `handle_seconds_max` fails `/livez`. Raises
    `Fatal` where somebody must act, a `Rejected` that escapes `handle` (a bug) included. With `skips_lost` it goes on
    where retention has passed the group's offset, telling how much is gone. A batch is handled and committed as a
    whole, or in the `runs` that it is cut into. Where `backlog` allows it, one holds more than a fetch does.
    """

    def lane(partition: TopicPartition) -> Lane:
        pulse = health.pulse(f"{group} {partition.topic}/{partition.partition}", allowed_seconds=handle_seconds_max)
        backoff = Backoff(base_seconds=0.2, cap_seconds=backoff_cap_seconds, random=random)
        return Lane(
            partition,
            group,
            deliver,
            log,
            clock=clock,
            pulse=pulse,
            backoff=backoff,
            records_max=records_max,
            backlog=backlog or Backlog(),
            runs=runs,
            skips_lost=skips_lost,
        )

    async def join() -> GroupMember:
        return await log.join(
            group,
            listener=deliveries,
            topics=topics,
            pattern=pattern,
            instance_id=instance_id,
            partition_bytes_max=partition_bytes_max,
        )

    deliveries = _Deliveries(group, lane, log, clock=clock, gate=health.gate(group), drain_seconds=drain_seconds)
    backoff = Backoff(base_seconds=0.1, cap_seconds=30.0, random=random)
    await stay_in_group(join, deliveries, stopping=stopping, clock=clock, backoff=backoff)


class _Deliveries(Worker):
    """The lanes that run here. In a rebalance they are suspended, and then resumed or cancelled as it turns out."""

    def __init__(
        self,
        group: str,
        make: Callable[[TopicPartition], Lane],
        log: Log,
        *,
        clock: Clock,
        gate: Gate,
        drain_seconds: float,
    ) -> None:
        super().__init__(group)
        self._make = make
        self._log = log
        self._shared: SharedMember | None = None
        self._clock = clock
        self._gate = gate
        self._drain_seconds = drain_seconds
        self._running: dict[TopicPartition, tuple[Lane, asyncio.Task[None]]] = {}
        self._patience: asyncio.Task[None] | None = None

    def joined(self, member: GroupMember) -> None:
        self._shared = SharedMember(member, self._log, self.group)
        super().joined(member)

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        for partition in partitions & self._running.keys():
            self._running[partition][0].suspend()
        if self._patience is None:
            self._patience = asyncio.create_task(self._lose_patience())

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self._calm()
        await self._cancel(self._running.keys() - partitions)
        for partition in sorted(partitions):
            if partition in self._running:
                self._running[partition][0].resume()
            else:
                lane = self._make(partition)
                self._running[partition] = lane, asyncio.create_task(self._run(lane))
        DELIVER_LANES.set(len(self._running), group=self.group)
        self._gate.open()

    async def finish(self) -> None:
        for lane, _ in self._running.values():
            lane.end()
        await Deadline(self._clock, self._drain_seconds).ended(*(task for _, task in self._running.values()))

    async def left(self) -> None:
        self._calm()
        await self._cancel(set(self._running))
        await super().left()

    async def _lose_patience(self) -> None:
        """A rebalance that does not end leaves us in doubt who owns what: then even what is under way must stop."""
        await self._clock.sleep(SUSPENDED_SECONDS_MAX)
        self._patience = None
        await self._cancel(set(self._running))

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    async def _cancel(self, partitions: Collection[TopicPartition]) -> None:
        tasks = [self._running.pop(partition)[1] for partition in partitions]
        await Deadline(self._clock, REVOKE_SECONDS).end(*tasks)

    async def _run(self, lane: Lane) -> None:
        """A lane's task: nobody awaits it, so what it raises must end the loop."""
        try:
            await self.member()
            assert self._shared is not None, "made when the member came"
            await lane.run(self._shared)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must end the loop loudly
            self.fail(error)
