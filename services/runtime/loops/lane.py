"""The task of one partition in the Deliver loop: poll, handle, commit, through failures and rebalances.

A rebalance takes every partition from everybody for a moment. What is being handled then goes on, since a long reading
must survive a rebalance that gives its request back: only committing and new records wait. When the partition comes
back at the same committed offset, nothing has happened; at another one somebody else went on, and we follow from there.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from contracts.records import Record, TopicPartition
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.failures import OffsetLost, Unavailable
from services.runtime.health import Pulse
from services.runtime.log import Log
from services.runtime.loops.backlog import POLL_SECONDS, Backlog
from services.runtime.loops.events import (
    DELIVER_LAG_RECORDS,
    DELIVER_LAG_SECONDS,
    DELIVER_RECORDS,
    DELIVER_SECONDS,
    DeliveryRestarted,
    DeliveryResumed,
    DeliveryRetried,
    RecordsLost,
)
from services.runtime.loops.shared_member import SharedMember
from services.runtime.waiting import unless

if TYPE_CHECKING:
    from services.runtime.deliver import Deliver

IDLE_POLL_SECONDS: Final = 5.0

Runs = Callable[[Sequence[Record]], Iterable[Sequence[Record]]]
"""Cuts a batch, in its order, into what is handled and committed together."""


def all_together(records: Sequence[Record]) -> Iterable[Sequence[Record]]:
    """The whole batch is one run."""
    return (records,)


class Lane:
    """One partition's task. `suspend`, `resume` and `end` are called by the loop at any time."""

    def __init__(
        self,
        partition: TopicPartition,
        group: str,
        deliver: "Deliver",
        log: Log,
        *,
        clock: Clock,
        pulse: Pulse,
        backoff: Backoff,
        records_max: int,
        backlog: Backlog,
        runs: Runs = all_together,
        skips_lost: bool = False,
    ) -> None:
        self.partition = partition
        self._group = group
        self._deliver = deliver
        self._log = log
        self._clock = clock
        self._pulse = pulse
        self._backoff = backoff
        self._records_max = records_max
        self._backlog = backlog
        self._runs = runs
        self._skips_lost = skips_lost
        self._finish = asyncio.Event()
        self._ours = asyncio.Event()
        self._ours.set()
        self._stirred = asyncio.Event()  # ends a poll: its position is undefined, or nobody wants its records
        self._tenure = 0  # counts the rebalances that we were told of
        self._done_lag_seconds = 0.0  # of what was committed last
        self._handling_since_ms: int | None = None  # when the oldest record was written that is being handled
        self._seated = 0  # the tenure in which our position was defined; another one now means: ask anew

    def suspend(self) -> None:
        """The partition may go to another owner: from here on nothing is committed and nothing new begun."""
        self._tenure += 1
        self._ours.clear()
        self._stirred.set()

    def resume(self) -> None:
        """The partition is ours in a new assignment, which left its position undefined."""
        self._tenure += 1
        self._ours.set()
        self._stirred.set()

    def end(self) -> None:
        """Ends after the `handle` under way; its records are committed if they are still ours."""
        self._finish.set()
        self._stirred.set()

    async def run(self, member: SharedMember) -> None:
        """Works until `end` or cancelled. Raises `Fatal`, and whatever a bug raises."""
        begun = False
        topic, partition = self.partition
        DELIVER_LAG_SECONDS.follow(self._lag_seconds, group=self._group, topic=topic, partition=str(partition))
        try:
            with self._pulse:
                while not self._finish.is_set():
                    try:
                        if not begun:
                            await self._deliver.assigned(self.partition)
                            begun = True
                        await self._work(member)
                    except Unavailable as error:
                        await self._wait(error)
        finally:
            for gauge in (DELIVER_LAG_SECONDS, DELIVER_LAG_RECORDS):
                gauge.forget(self._group, topic, str(partition))
            if begun:
                await self._deliver.revoked(self.partition)

    async def _work(self, member: SharedMember) -> None:
        """One stretch of turns from a position that was asked for; ends where it must be asked for anew."""
        offset = await self._position(member)
        while offset is not None and not self._finish.is_set():
            offset = await self._turn(member, offset)
            self._pulse.beat()

    async def _position(self, member: SharedMember) -> int | None:
        """Seeks to where the group's work stands; None where a rebalance came between."""
        await unless(self._finish, self._ours.wait())
        self._stirred.clear()
        tenure = self._tenure
        offset = await member.standing(self.partition)
        if self._skips_lost:
            offset = await self._left(offset)
        if tenure != self._tenure or not self._ours.is_set():
            return None
        self._seated = tenure
        member.seek(self.partition, offset)
        return offset

    async def _left(self, offset: int) -> int:
        """The offset, or where the partition begins by now; raises `OffsetLost` where it ends before the offset."""
        (begin,) = (await self._log.begin_offsets([self.partition])).values()
        (end,) = (await self._log.end_offsets([self.partition])).values()
        topic, partition = self.partition
        if offset > end:
            raise OffsetLost(f"{topic}/{partition} ends at {end}, but was read to {offset}: the topic was made anew")
        if offset < begin:
            RecordsLost(self._group, topic, partition, offset, begin - offset).emit()
        return max(offset, begin)

    async def _turn(self, member: SharedMember, offset: int) -> int | None:
        """Polls once, handles and commits; the next offset, or None where the position must be asked for anew."""
        if not self._is_ours():
            return None
        polled = member.poll(self.partition, records_max=self._records_max, timeout_seconds=IDLE_POLL_SECONDS)
        try:
            records = await unless(self._stirred, polled)
        except OffsetLost:
            if not self._skips_lost:
                raise
            return None
        if not records:
            if records is not None:
                self._show_lag(member, 0)
            return offset
        polled_bytes = _bytes(records)
        taken = self._backlog.take() if polled_bytes >= self._backlog.full_bytes else 0
        try:
            more = await self._more(member, polled_bytes, taken)
            return await self._all_done(member, records + more, offset)
        finally:
            self._backlog.give_back(taken)

    async def _more(self, member: SharedMember, polled_bytes: int, bytes_max: int) -> list[Record]:
        """What of a backlog comes at once behind a poll of so many bytes, until together they are about `bytes_max`."""
        more: list[Record] = []
        total_bytes = polled_bytes
        while total_bytes < bytes_max and polled_bytes >= self._backlog.full_bytes and self._is_ours():
            polled = member.poll(self.partition, records_max=self._records_max, timeout_seconds=POLL_SECONDS)
            latest = await unless(self._stirred, polled) or []
            polled_bytes = _bytes(latest)
            total_bytes += polled_bytes
            more += latest
        return more

    async def _all_done(self, member: SharedMember, records: Sequence[Record], offset: int) -> int | None:
        for run in self._runs(records):
            tenure = self._tenure
            if self._finish.is_set() or self._seated != tenure:
                return None
            after = await self._done(member, run, offset)
            if after is None or self._seated != tenure:
                return after  # after a rebalance the rest comes again
            offset = after
            self._pulse.beat()
        return offset

    async def _done(self, member: SharedMember, run: Sequence[Record], offset: int) -> int | None:
        """Handles and commits what stands from `offset` on; the next offset, or None as above."""
        began = self._clock.monotonic_seconds()
        self._handling_since_ms = run[0].timestamp_ms
        if not await self._handled(run):
            return None
        after = run[-1].offset + 1
        if not self._is_ours() and not await self._came_back(member, offset, after):
            return None
        await self._commit(member, after)
        self._show_lag(member, self._clock.now_ms() - run[-1].timestamp_ms)
        DELIVER_RECORDS.add(len(run), group=self._group)
        DELIVER_SECONDS.observe(self._clock.monotonic_seconds() - began, group=self._group)
        return after

    def _is_ours(self) -> bool:
        """Whether nothing has happened to the group since our position was defined."""
        return self._seated == self._tenure

    def _show_lag(self, member: SharedMember, lag_ms: int) -> None:
        topic, partition = self.partition
        self._done_lag_seconds, self._handling_since_ms = max(lag_ms, 0) / 1000, None
        behind = member.behind(self.partition)
        if behind is not None:
            DELIVER_LAG_RECORDS.set(behind, group=self._group, topic=topic, partition=str(partition))

    def _lag_seconds(self) -> float:
        """Grows for as long as a `handle` gets nothing done."""
        if self._handling_since_ms is None:
            return self._done_lag_seconds
        return max(0, self._clock.now_ms() - self._handling_since_ms) / 1000

    async def _handled(self, records: Sequence[Record]) -> bool:
        """Hands the records over until they are done; False where they are no longer ours to try again."""
        while True:
            try:
                await self._deliver.handle(self.partition, records)
            except Unavailable as error:
                await self._wait(error)
                if self._finish.is_set() or not self._is_ours():
                    return False
            else:
                self._backoff.reset()
                return True

    async def _came_back(self, member: SharedMember, offset: int, after: int) -> bool:
        """Whether the partition came out of a rebalance as it went in, so that what was handled may be committed.

        The committed offset tells: whoever had the partition in between and got anything done has moved it.
        """
        await unless(self._finish, self._ours.wait())
        self._stirred.clear()
        tenure = self._tenure
        same = self._ours.is_set() and await member.standing(self.partition) == offset and tenure == self._tenure
        event = DeliveryResumed if same else DeliveryRestarted
        event(self._group, self.partition.topic, self.partition.partition).emit()
        if same:
            self._seated = tenure
            member.seek(self.partition, after)
        return same

    async def _commit(self, member: SharedMember, after: int) -> None:
        """Commits while the partition is ours. Given up only where it is not: what was done must not be done again.

        A partition that was revoked meanwhile is left out; then `_seated` no longer holds, the position is asked for
        anew, and the records come again: at least once.
        """
        while self._is_ours():
            try:
                await member.commit(self.partition, after, self._is_ours)
            except Unavailable as error:
                if self._finish.is_set():
                    return
                await self._wait(error)
            else:
                return

    async def _wait(self, error: Unavailable) -> None:
        delay = self._backoff.next_seconds(error.retry_after_seconds)
        DeliveryRetried(self._group, self.partition.topic, self.partition.partition, str(error), delay).emit()
        self._pulse.beat()
        await unless(self._finish, self._clock.sleep(delay))


def _bytes(records: Sequence[Record]) -> int:
    return sum(len(record.value or b"") for record in records)
