"""Sends what a lane has to send until all of it is settled, however long its destination is down.

Waits, tries again, parks and gives up as the lane's health says, and tells control how it fares. Called by the lane and
by what replaces whole lists; one attempt stands in `sending`.
"""

from collections.abc import Callable
from typing import Final

from contracts import catalog
from contracts.instants import instant_text
from contracts.messages.delivery import LaneState
from contracts.messages.entities import Connection, Destination
from contracts.records import TopicPartition
from services.activation.exchanges import UNKNOWN, Ready, keep_to_rate, ready
from services.activation.lane_events import LaneTurned
from services.activation.lane_health import DELIVERING, LaneHealth
from services.activation.lane_ports import LanePorts
from services.activation.lane_reports import outcome
from services.activation.sending import Attempt, send_once
from services.activation.work import Work
from services.domain.delivery.answers import SETTLED, Fate, Verdict, gravest
from services.domain.delivery.ledger import Ledger
from services.domain.delivery.merge import Item

CATALOGUE_POLL_SECONDS: Final = 5.0  # how soon a waiting lane heeds that somebody has acted

DestinationKey = tuple[str, str]
"""Space id and destination id."""


def _never(_: Verdict) -> bool:
    return False


class Sender:
    """Of one lane, for one assignment of its partition."""

    def __init__(self, partition: TopicPartition, ports: LanePorts) -> None:
        self._queue = catalog.queue_of(partition.topic)
        self._partition = partition.partition
        self._ports = ports
        self._health = LaneHealth(ports.policy, ports.random)
        self._reported: tuple[str | None, str | None] = (None, None)
        self._known: tuple[Destination | None, Ready | Verdict] | None = None  # what the very version comes to

    async def send(
        self, work: Work, ledger: Ledger, key: DestinationKey, *, ends: Callable[[Verdict], bool] = _never
    ) -> None:
        """Sends until all is settled, or the destination is deleted, or the records are too old to wait longer.

        Or until trouble `ends` it, of which this was asked after waiting: the work is left as it is.
        """
        while (to := await self.until_ready(work, ledger, key)) is not None:
            for item, verdict in work.plan(to.connector, to.settings, to.limits.items_per_request):
                ledger.settle(item, verdict)
            if work.done():
                return
            trouble, retry_after_seconds = await self._try(work, ledger, to)
            if trouble is not None:
                await self._hindered(trouble, retry_after_seconds, work, ledger, key)
                if ends(trouble):
                    return

    async def until_ready(self, work: Work, ledger: Ledger, key: DestinationKey) -> Ready | None:
        """The destination, when it can be sent to; None where nothing is left to be sent, also by giving it up."""
        if self._destination(key) is None:
            await self._ports.catalogue.caught_up()  # the queue may be ahead of our view
        while not work.done():
            to = self.ready(key)
            if isinstance(to, Ready):
                return to
            await self._hindered(to, None, work, ledger, key)
        return None

    def ready(self, key: DestinationKey) -> Ready | Verdict:
        """The destination as it is now, or what stands against sending to it."""
        destination = self._destination(key)
        if self._known is None or self._known[0] != destination:
            self._known = destination, ready(destination)
        return self._known[1]

    async def _hindered(
        self,
        trouble: Verdict,
        retry_after_seconds: float | None,
        work: Work,
        ledger: Ledger,
        key: DestinationKey,
    ) -> None:
        if trouble is UNKNOWN:
            self._give_up(work, ledger, UNKNOWN, late_only=False)
        else:
            await self._wait(trouble, retry_after_seconds, key, ledger)
            self._give_up(work, ledger, trouble, late_only=True)

    def _destination(self, key: DestinationKey) -> Destination | None:
        return self._ports.catalogue.get(Destination, *key)

    def _connections(self, key: DestinationKey, ledger: Ledger) -> list[Connection | None]:
        return [self._ports.catalogue.get(Connection, key[0], one) for one in ledger.connection_ids]

    async def _try(self, work: Work, ledger: Ledger, to: Ready) -> tuple[Verdict | None, float | None]:
        """Sends the next request once; the verdict on what must be sent again, None where nothing must."""
        request = work.head()
        await keep_to_rate(to, self._ports)
        attempt = await send_once(request, to, self._ports)
        ledger.attempted(request.items)
        left = self._settle(attempt, ledger)
        work.settle_head([item for item, _ in left])
        if not left:
            self._health.succeeded()
            await self._report(to.destination, ledger)
            return None, None
        trouble = gravest(verdict for _, verdict in left)
        if trouble.fate is Fate.GONE:
            self._known = to.destination, trouble  # it wants nothing more
        return trouble, attempt.retry_after_seconds

    def _settle(self, attempt: Attempt, ledger: Ledger) -> list[tuple[Item, Verdict]]:
        """Books what is settled; returns the rest."""
        delivered: list[Item] = []
        left: list[tuple[Item, Verdict]] = []
        for item, verdict in attempt.verdicts:
            if verdict.fate in SETTLED:
                ledger.settle(item, verdict)
                delivered += [item] if verdict.fate is Fate.DELIVERED else []
            else:
                left.append((item, verdict))
        ledger.uploaded(delivered, attempt.taken)
        return left

    async def _wait(
        self, trouble: Verdict, retry_after_seconds: float | None, key: DestinationKey, ledger: Ledger
    ) -> None:
        """Waits as the lane's health says, but not longer than until the destination or a connection is changed."""
        clock = self._ports.clock
        now = clock.monotonic_seconds()
        until = now + self._health.failed(trouble, now, retry_after_seconds)
        destination, connections = self._destination(key), self._connections(key, ledger)
        if destination is not None:
            await self._report(destination, ledger)
        while now < until:
            await clock.sleep(min(until - now, CATALOGUE_POLL_SECONDS))
            if (self._destination(key), self._connections(key, ledger)) != (destination, connections):
                self._health.renewed()
                return
            now = clock.monotonic_seconds()

    def _give_up(self, work: Work, ledger: Ledger, verdict: Verdict, *, late_only: bool) -> None:
        """Settles what waits as dead letters: all of it, or what the log will soon have forgotten."""
        oldest_ms = self._ports.clock.now_ms() - self._ports.record_age_seconds_max * 1000
        final = Verdict(Fate.REFUSED, verdict.code, verdict.detail)
        for item in work.give_up(lambda item: not late_only or ledger.timestamp_ms(item) < oldest_ms):
            ledger.settle(item, final)

    async def _report(self, destination: Destination, ledger: Ledger) -> None:
        """Tells control and the operator when the lane's state has changed; control also how long all has waited."""
        health = self._health
        code = health.trouble.code.code if health.trouble and health.trouble.code else None
        is_new = (health.state, code) != self._reported
        if health.state is None or (health.state == DELIVERING and not is_new):
            return
        self._reported = (health.state, code)
        now_ms = self._ports.clock.now_ms()
        detail = health.trouble.detail if health.trouble else None
        said = LaneState(
            space_id=destination.space_id,
            destination_id=destination.destination_id,
            queue=self._queue,
            partition=self._partition,
            state=health.state,
            waited_ms=ledger.waited_ms(now_ms),
            code=code,
            detail=detail,
            at=instant_text(now_ms),
        )
        if is_new:
            LaneTurned(
                space_id=said.space_id,
                destination_id=said.destination_id,
                queue=said.queue,
                partition=said.partition,
                state=said.state,
                code=code or "",
                detail=detail or "",
            ).emit()
        await self._ports.reports.write([outcome(said, self._ports.outcome_partitions)])
