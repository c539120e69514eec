"""One lane: one partition of one delivery queue, its records sent in order, however long the destination is down.

Retries block this lane and nobody else. It returns from a batch when each member of it is delivered, merged or in dead
letters, and the outcomes that say so are durable; the Deliver loop commits then.
"""

from collections.abc import Sequence
from typing import Final

from contracts import catalog, codec, codes
from contracts.instants import instant_text
from contracts.messages.delivery import Delivery, ListCleared
from contracts.messages.entities import Connection, Destination
from contracts.records import Out, Record, TopicPartition
from services.activation.lane_events import DELIVERY_MEMBERS, DELIVERY_WAIT_SECONDS, DeliveriesDeadLettered
from services.activation.lane_ports import LanePorts
from services.activation.lane_reports import letter, outcome, receipt
from services.activation.replacing import Replacing
from services.activation.sender import DestinationKey, Sender
from services.activation.work import Work
from services.connectors.base import ReplacingConnector
from services.connectors.registry import CONNECTORS
from services.domain.delivery.answers import DELIVERED
from services.domain.delivery.ledger import Ledger
from services.domain.delivery.merge import Kept, collapse, part, stretches
from services.domain.delivery.replacement import without_replaced

CLEARED_POLL_SECONDS: Final = 0.1  # control answers within milliseconds, and a resync is rare


class Lane:
    """Lives for one assignment of its partition; `deliver` is called with one batch after the other."""

    def __init__(self, partition: TopicPartition, ports: LanePorts) -> None:
        self._queue = catalog.queue_of(partition.topic)
        self._partition = partition.partition
        self._ports = ports
        self._sender = Sender(partition, ports)
        self._replacing = Replacing(partition, ports, self._sender)
        self._knows_replaced = False  # whether the catalogue says what who had the lane before us has replaced

    async def deliver(self, records: Sequence[Record]) -> None:
        """Returns when every record has had its effect.

        Raises `Unavailable` where the log can't be read, before anything was sent or between parts of a whole list:
        the same records may come again.
        """
        outs: list[Out] = []
        for key, taken in self._read(records, outs).items():
            for stretch in stretches([delivery for _, delivery in taken]):
                records_of = [record for record, _ in taken[stretch]]
                kept = collapse([delivery for _, delivery in taken[stretch]])
                if kept[0].delivery.operation == "clear":
                    ledger = Ledger(records_of, kept)
                    await self._clear(records_of[0], kept, ledger, key)
                else:
                    left, sent = await self._without_replaced(kept, key)
                    ledger = Ledger(records_of, left)
                    for one in sent:
                        ledger.settle(part(one, one.members), DELIVERED)
                    await self._sender.send(Work(left), ledger, key)
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

    async def _clear(self, record: Record, kept: Sequence[Kept], ledger: Ledger, key: DestinationKey) -> None:
        """Empties or replaces a list once for a resync, and goes on when the connection says so."""
        said = kept[0].delivery
        await self._ports.catalogue.caught_up()
        if self._is_cleared(said, said.step):
            return
        step: int | None = said.step
        if self._replaces(key):
            step = await self._replacing.replaced(record.offset, kept, ledger, key)
        else:
            await self._sender.send(Work(kept), ledger, key)
        if step is None or ledger.has_dead():
            return  # it can't be, and dead letters say why: what follows is added to what the list holds
        at = instant_text(self._ports.clock.now_ms())
        done = ListCleared(space_id=said.space_id, connection_id=said.connection_id, step=step, at=at)
        await self._ports.reports.write([outcome(done, self._ports.outcome_partitions)])
        while not self._is_cleared(said, step):
            await self._ports.clock.sleep(CLEARED_POLL_SECONDS)

    async def _without_replaced(self, kept: list[Kept], key: DestinationKey) -> tuple[list[Kept], list[Kept]]:
        """What is still to be sent, and what was sent when the list was replaced, be it by another owner."""
        if not self._replaces(key):
            return kept, []
        if not self._knows_replaced:
            await self._ports.catalogue.caught_up()
            self._knows_replaced = True
        connections = {(one.delivery.space_id, one.delivery.connection_id) for one in kept}
        steps = {of: found.cleared_step for of in connections if (found := self._ports.catalogue.get(Connection, *of))}
        return without_replaced(kept, steps)

    def _replaces(self, key: DestinationKey) -> bool:
        """Whether resyncs replace lists there at once, rather than empty them first."""
        destination = self._ports.catalogue.get(Destination, *key)
        return destination is not None and isinstance(CONNECTORS.get(destination.connector), ReplacingConnector)

    def _is_cleared(self, said: Delivery, step: int) -> bool:
        """For this resync or a later one; a connection that is gone has nothing to empty."""
        connection = self._ports.catalogue.get(Connection, said.space_id, said.connection_id)
        return connection is None or connection.cleared_step >= step

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
