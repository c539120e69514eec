"""Replaces the list of a connection as a whole, by a resync whose members stand in a queue between other records.

Reads the queue twice ahead of the lane: to see that the members of every partition are there, and to send them.
Keeps nothing: whoever comes after a crash begins again at the same place, with the same parts (decision 0046).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from contracts import codec, codes
from contracts.messages.delivery import Delivery
from contracts.messages.entities import Connection, Destination
from contracts.records import Record, TopicPartition
from services.activation.exchanges import UNKNOWN, Ready
from services.activation.lane_ports import LanePorts
from services.activation.sender import DestinationKey, Sender
from services.activation.work import Work
from services.connectors.base import ReplacingConnector, Request, Whole
from services.domain.delivery.answers import DELIVERED, Fate, Verdict
from services.domain.delivery.ledger import Ledger
from services.domain.delivery.merge import Item, Kept, part
from services.domain.delivery.replacement import Part, Parts, Resync, Survey
from services.runtime.log import Reader

SILENT_SECONDS_MAX: Final = 3600.0  # for so long more members of a resync are waited for: a partition may be down
LATE_MAX: Final = 3  # so often a list may take longer than its destination allows
_READ_SECONDS: Final = 0.5
_READ_RECORDS: Final = 100  # of a thousand members each at most

_INCOMPLETE: Final = Verdict(
    Fate.REFUSED, codes.DELIVERY_REPLACEMENT_BROKEN, "not all members of the resync are in the queue"
)
_LATE: Final = Verdict(
    Fate.REFUSED, codes.DELIVERY_REPLACEMENT_BROKEN, "sending the whole list takes longer than the destination allows"
)


class Replacing:
    """Of one lane, for one assignment of its partition."""

    def __init__(self, partition: TopicPartition, ports: LanePorts, sender: Sender) -> None:
        self._place = partition
        self._ports = ports
        self._sender = sender

    async def replaced(self, offset: int, kept: Sequence[Kept], ledger: Ledger, key: DestinationKey) -> int | None:
        """Replaces the list by the newest resync from the `clear` at `offset` on, and returns its step.

        None where it can't be: the ledger says why. Raises `Unavailable` where the queue can't be read.
        """
        item = part(kept[0], [])
        late, again = 0, False
        reader = await self._ports.queue_reader([self._place])
        try:
            while late < LATE_MAX:
                resync = await self._surveyed(reader, offset, kept[0].delivery, key)
                to = await self._sender.until_ready(Work(kept), ledger, key)
                if to is None:
                    return None
                if resync is None:
                    ledger.settle(item, _INCOMPLETE)
                    return None
                attempt = _Try(resync, item, to, ports=self._ports, sender=self._sender, ledger=ledger, again=again)
                async with aclosing(self._parts(reader, offset, resync, to.limits.items_per_request)) as parts:
                    if await attempt.delivered(parts):
                        return resync.clear.step
                if ledger.has_dead():
                    return None
                late, again = late + attempt.is_late(), True
        finally:
            await reader.close()
        ledger.settle(item, _LATE)
        return None

    async def _surveyed(self, reader: Reader, offset: int, clear: Delivery, key: DestinationKey) -> Resync | None:
        """The newest resync, when it is there whole; None where it does not come, or nobody wants it any more."""
        survey = Survey(clear, self._ports.change_partitions)
        clock, heard = self._ports.clock, 0
        heard_at = clock.monotonic_seconds()
        reader.seek(self._place, offset)
        while clock.monotonic_seconds() < heard_at + SILENT_SECONDS_MAX and self._sender.ready(key) is not UNKNOWN:
            for record in await reader.read(timeout_seconds=_READ_SECONDS, records_max=_READ_RECORDS):
                said = _decoded(record)
                found = survey.take(record.offset, said) if said is not None else None
                if found is not None:
                    return found
            if survey.heard > heard:
                heard, heard_at = survey.heard, clock.monotonic_seconds()
        return None

    async def _parts(self, reader: Reader, offset: int, resync: Resync, members_max: int) -> AsyncGenerator[Part, None]:
        parts = Parts(resync, members_max)
        for one in parts.begin():
            yield one
        reader.seek(self._place, offset)
        while offset < resync.end_offset:
            for record in await reader.read(timeout_seconds=_READ_SECONDS, records_max=_READ_RECORDS):
                said = _decoded(record)
                for one in parts.take(said) if said is not None else ():
                    yield one
            offset = await reader.position(self._place)


class _Try:
    """One try to replace a list, to a destination and a connection as they are at its beginning."""

    def __init__(
        self,
        resync: Resync,
        item: Item,
        to: Ready,
        *,
        ports: LanePorts,
        sender: Sender,
        ledger: Ledger,
        again: bool,
    ) -> None:
        connector = to.connector
        assert isinstance(connector, ReplacingConnector), "asked for no other"
        assert connector.declaration.replacement is not None, "a test holds it to that"
        self._connector = connector
        self._minutes_max = connector.declaration.replacement.minutes_max
        self._to = to
        self._ports = ports
        self._sender = sender
        self._ledger = ledger
        self._clear = clear = resync.clear
        self._key = clear.space_id, clear.destination_id
        self._began_seconds = ports.clock.monotonic_seconds()
        self._meant = self._meaning()
        name = f"{clear.space_id}.{clear.connection_id}.{clear.step}"
        # A lane that comes after a crash says what the one before it said; one that was broken off says something new.
        self._whole = Whole(f"{name}.{ports.clock.now_ms()}" if again else name, item, clear, resync.members)

    async def delivered(self, parts: AsyncIterator[Part]) -> bool:
        """Whether all of it was; else it has to begin again, or is refused, as the ledger says."""
        sent: list[Request] = []
        async for one in parts:
            request = self._connector.replacement(self._whole, one, self._to.settings)
            if request is not None:
                if not await self._is_delivered(request):
                    return False
                sent.append(replace(request, body=b"", part=replace(one, items=())))
        last = self._connector.completion(self._whole, sent, self._to.settings)
        return last is None or await self._is_delivered(last)

    def is_late(self) -> bool:
        """Whether it has taken longer than the destination allows."""
        spent_seconds = self._ports.clock.monotonic_seconds() - self._began_seconds
        return self._minutes_max is not None and spent_seconds > self._minutes_max * 60

    async def _is_delivered(self, request: Request) -> bool:
        if self._is_over(DELIVERED):
            return False
        work = Work.of(request)
        await self._sender.send(work, self._ledger, self._key, ends=self._is_over)
        return work.done() and not self._ledger.has_dead()

    def _is_over(self, trouble: Verdict) -> bool:
        """Whether this try has come to nothing: half of a list is never added to half of another."""
        broken = trouble.code is codes.DELIVERY_REPLACEMENT_BROKEN
        return broken or self.is_late() or self._meaning() != self._meant

    def _meaning(self) -> tuple[Destination | None, object]:
        """Where the list is, and how it is written."""
        catalogue, clear = self._ports.catalogue, self._clear
        connection = catalogue.get(Connection, clear.space_id, clear.connection_id)
        destination = catalogue.get(Destination, clear.space_id, clear.destination_id)
        return destination, None if connection is None else connection.connection_settings


def _decoded(record: Record) -> Delivery | None:
    """None where it can't be read: it becomes a dead letter when the lane comes to it."""
    try:
        return codec.decode(record.value or b"", Delivery)
    except codec.Unreadable:
        return None
