"""One lane: one partition of one delivery queue, its records sent in order, however long the destination is down.

Retries block this lane and nobody else. It returns from a batch when each member of it is delivered, merged or in dead
letters, and the outcomes that say so are durable; the Deliver loop commits then.
"""

from collections.abc import Sequence
from typing import Final

from contracts import catalog, codec, codes
from contracts.instants import instant_text
from contracts.messages.delivery import Delivery, LaneState, ListCleared
from contracts.messages.entities import Connection, Destination
from contracts.records import Out, Record, TopicPartition
from services.activation.exchanges import UNKNOWN, Ready, keep_to_rate, ready
from services.activation.lane_events import DELIVERY_MEMBERS, DELIVERY_WAIT_SECONDS, DeliveriesDeadLettered, LaneTurned
from services.activation.lane_health import DELIVERING, LaneHealth
from services.activation.lane_ports import LanePorts
from services.activation.lane_reports import letter, outcome, receipt
from services.activation.sending import Attempt, send_once
from services.activation.work import Work
from services.domain.delivery.answers import SETTLED, Fate, Verdict, gravest
from services.domain.delivery.ledger import Ledger
from services.domain.delivery.merge import Item, Kept, collapse, stretches

CLEARED_POLL_SECONDS: Final = 0.1  # control answers within milliseconds, and a resync is rare
CATALOGUE_POLL_SECONDS: Final = 5.0  # how soon a waiting lane heeds that somebody has acted

DestinationKey = tuple[str, str]
"""Space id and destination id."""


class Lane:
    """Lives for one assignment of its partition; `deliver` is called with one batch after the other."""

    def __init__(self, partition: TopicPartition, ports: LanePorts) -> None:
        self._queue = catalog.queue_of(partition.topic)
        self._partition = partition.partition
        self._ports = ports
        self._health = LaneHealth(ports.policy, ports.random)
        self._reported: tuple[str | None, str | None] = (None, None)
        self._known: tuple[Destination | None, Ready | Verdict] | None = None  # what the very version comes to

    async def deliver(self, records: Sequence[Record]) -> None:
        """Returns when every record has had its effect. Raises `Unavailable` only before anything was sent."""
        outs: list[Out] = []
        for key, taken in self._read(records, outs).items():
            for stretch in stretches([delivery for _, delivery in taken]):
                kept = collapse([delivery for _, delivery in taken[stretch]])
                ledger = Ledger([record for record, _ in taken[stretch]], kept)
                if kept[0].delivery.operation == "clear":
                    await self._clear(kept, ledger, key)
                else:
                    await self._send(Work(kept), ledger, key)
                outs += self._account(ledger)
        await self._ports.reports.write(outs)

    def _read(self, records: Sequence[Record], outs: list[Out]) -> dict[DestinationKey, list[tuple[Record, Delivery]]]:
        """The deliveries by destination, in practice one; what can't be read becomes dead letters in `outs`."""
        found: dict[DestinationKey, list[tuple[Record, Delivery]]] = {}
        for record in records:
            try:
                delivery = codec.decode(record.value or b"", Delivery)
            except codec.Unreadable as error:
                outs.append(letter(record, codes.DELIVERY_UNREADABLE, error.detail, 1))
                self._tell_dead(codes.DELIVERY_UNREADABLE.code, 1, error.detail)
            else:
                found.setdefault((delivery.space_id, delivery.destination_id), []).append((record, delivery))
        return found

    async def _clear(self, kept: Sequence[Kept], ledger: Ledger, key: DestinationKey) -> None:
        """Empties a list once for a resync, and goes on when the connection says so: whoever comes after us knows."""
        said = kept[0].delivery
        await self._ports.catalogue.caught_up()
        if self._is_cleared(said):
            return
        await self._send(Work(kept), ledger, key)
        if any(True for _ in ledger.dead()):
            return  # it can't be, and dead letters say why: what follows is added to what the list holds
        at = instant_text(self._ports.clock.now_ms())
        done = ListCleared(space_id=said.space_id, connection_id=said.connection_id, step=said.step, at=at)
        await self._ports.reports.write([outcome(done, self._ports.outcome_partitions)])
        while not self._is_cleared(said):
            await self._ports.clock.sleep(CLEARED_POLL_SECONDS)

    def _is_cleared(self, said: Delivery) -> bool:
        """For this resync or a later one; a connection that is gone has nothing to empty."""
        connection = self._ports.catalogue.get(Connection, said.space_id, said.connection_id)
        return connection is None or connection.cleared_step >= said.step

    async def _send(self, work: Work, ledger: Ledger, key: DestinationKey) -> None:
        """Sends until all is settled, or the destination is deleted, or the records are too old to wait longer."""
        if self._destination(key) is None:
            await self._ports.catalogue.caught_up()  # the queue may be ahead of our view
        while not work.done():
            to = self._ready(key)
            if isinstance(to, Ready):
                for item, verdict in work.plan(to.connector, to.settings, to.limits.items_per_request):
                    ledger.settle(item, verdict)
                if work.done():
                    return
                trouble, retry_after_seconds = await self._try(work, ledger, to)
            else:
                trouble, retry_after_seconds = to, None
            if trouble is UNKNOWN:
                self._give_up(work, ledger, UNKNOWN, late_only=False)
            elif trouble is not None:
                await self._wait(trouble, retry_after_seconds, key, ledger)
                self._give_up(work, ledger, trouble, late_only=True)

    def _destination(self, key: DestinationKey) -> Destination | None:
        return self._ports.catalogue.get(Destination, *key)

    def _connections(self, key: DestinationKey, ledger: Ledger) -> list[Connection | None]:
        return [self._ports.catalogue.get(Connection, key[0], one) for one in ledger.connection_ids]

    def _ready(self, key: DestinationKey) -> Ready | Verdict:
        destination = self._destination(key)
        if self._known is None or self._known[0] != destination:
            self._known = destination, ready(destination)
        return self._known[1]

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

    def _account(self, ledger: Ledger) -> list[Out]:
        """The dead letters and outcomes of a batch whose every member is settled."""
        outs: list[Out] = []
        dead: dict[str, tuple[int, str]] = {}
        for record, verdict, attempts in ledger.dead():
            assert verdict.code is not None, "what is refused says why"
            outs.append(letter(record, verdict.code, verdict.detail, attempts))
            dead[verdict.code.code] = (dead.get(verdict.code.code, (0, ""))[0] + 1, verdict.detail)
        for code, (records, detail) in dead.items():
            self._tell_dead(code, records, detail)
        now_ms = self._ports.clock.now_ms()
        outs += [receipt(*one, self._partition, now_ms) for one in ledger.taken]  # before what counts on them
        for said in ledger.outcomes(self._queue, now_ms):
            DELIVERY_WAIT_SECONDS.observe(said.waited_ms / 1000)
            DELIVERY_MEMBERS.add(said.delivered, outcome="delivered")
            DELIVERY_MEMBERS.add(said.merged, outcome="merged")
            DELIVERY_MEMBERS.add(said.dead_lettered, outcome="dead-lettered")
            outs.append(outcome(said, self._ports.outcome_partitions))
        return outs

    def _tell_dead(self, code: str, records: int, detail: str) -> None:
        DeliveriesDeadLettered(
            queue=self._queue, partition=self._partition, code=code, records=records, detail=detail
        ).emit()
