"""Belonging to a consumer group: joining, joining anew, leaving, and ending on a failure. Shared by both loops.

Knows nothing of shards or deliveries; what a loop does with its assignment is its `Worker`'s business.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.failures import Fatal, Stop, Unavailable
from services.runtime.log import AssignmentListener, GroupMember
from services.runtime.loops.events import GroupLeft, JoinFailed
from services.runtime.waiting import unless

REVOKE_SECONDS: Final = 6.0  # all that a revoke may take: the group's rebalance waits 10 s for each of its members
LEAVE_GRACE_SECONDS: Final = 1.0  # of them, for ending in order what is nearly done


class Worker(AssignmentListener):
    """What does the work of one member. A subclass ends its tasks in `on_revoked` and starts them in `on_assigned`."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.interrupted = asyncio.Event()
        self.failure: BaseException | None = None
        self._member: asyncio.Future[GroupMember] = asyncio.get_running_loop().create_future()

    async def member(self) -> GroupMember:
        """The member to poll with; callbacks may come before it is there."""
        return await asyncio.shield(self._member)

    def joined(self, member: GroupMember) -> None:
        self._member.set_result(member)

    async def left(self) -> None:
        """The group is left: every task of it has ended when this returns."""
        self.interrupted.clear()
        self._member = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        """Ends the loop with this error; an error that is none of the tree is a bug, and `Fatal`.

        A bug is never retried: it would meet the same record again for ever, and no one would hear of it.
        """
        if self.failure is None:
            self.failure = error if isinstance(error, Stop) else _bug(error)
        self.interrupted.set()

    def join_anew(self) -> None:
        """Leaves and joins again: the group's word on who owns what is needed."""
        self.interrupted.set()

    async def finish(self) -> None:
        """Asked to stop: returns when what is under way has ended."""
        raise NotImplementedError


def _bug(error: BaseException) -> Fatal:
    fatal = Fatal(
        f"a bug ({type(error).__name__}: {error}): nothing of it was committed; report it with this traceback"
    )
    fatal.__cause__ = error
    return fatal


async def stay_in_group(
    join: Callable[[], Awaitable[GroupMember]],
    worker: Worker,
    *,
    stopping: asyncio.Event,
    clock: Clock,
    backoff: Backoff,
) -> None:
    """Joins and works until `stopping`; raises the worker's failure, after leaving in order."""
    while not stopping.is_set() and worker.failure is None:
        try:
            member = await join()
        except Unavailable as error:
            JoinFailed(group=worker.group, detail=str(error)).emit()
            await unless(stopping, clock.sleep(backoff.next_seconds(error.retry_after_seconds)))
            continue
        worker.joined(member)
        backoff.reset()
        try:
            await unless(stopping, worker.interrupted.wait())
            if stopping.is_set() and worker.failure is None:
                await worker.finish()
        finally:
            await _leave(member, worker, stopping)
    if worker.failure is not None:
        raise worker.failure


async def _leave(member: GroupMember, worker: Worker, stopping: asyncio.Event) -> None:
    """`close` calls `on_revoked`, which ends the tasks; what fails then is the broker's to notice by itself."""
    why = "failed" if worker.failure else "stopping" if stopping.is_set() else "joins anew"
    try:
        await member.close()
    except Unavailable as error:
        JoinFailed(group=worker.group, detail=str(error)).emit()
    await worker.left()
    GroupLeft(group=worker.group, why=why).emit()
