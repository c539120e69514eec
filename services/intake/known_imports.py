"""Which object versions are imports already, as `usher.imports.v1` says: read on with each pass of the reconciler."""

from typing import Final

import msgspec

from contracts.catalog import IMPORTS
from contracts.instants import parse_instant
from contracts.messages.published import Import
from contracts.records import Record, TopicPartition
from services.domain.intake.reconciliation import LOOK_BACK_MS, KnownVersions
from services.runtime.clock import Clock
from services.runtime.log import Log

_READ_SECONDS: Final = 0.2

_decode: Final = msgspec.json.Decoder(Import).decode


class KnownImports:
    """Remembers those that a listing may still count; older ones it reads and forgets."""

    def __init__(self, log: Log, *, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._known = KnownVersions()
        self._positions: dict[TopicPartition, int] = {}

    async def caught_up(self) -> KnownVersions:
        """What is known of all that was in the topic when this was called; raises `Unavailable`."""
        before_ms = self._clock.now_ms() - LOOK_BACK_MS
        self._known.forget(before_ms)
        partitions = [TopicPartition(IMPORTS, number) for number in range(await self._log.partitions(IMPORTS))]
        ends = await self._log.end_offsets(partitions, committed_only=True)
        reader = await self._log.reader(partitions)
        try:
            for partition, offset in self._positions.items():
                reader.seek(partition, offset)
            while any([await reader.position(partition) < end for partition, end in ends.items()]):
                for record in await reader.read(timeout_seconds=_READ_SECONDS):
                    self._take(record, before_ms)
                self._positions = {partition: await reader.position(partition) for partition in partitions}
        finally:
            await reader.close()
        return self._known

    def _take(self, record: Record, before_ms: int) -> None:
        """What this version can't read is announced again, and control, which wrote it, drops that."""
        try:
            found = _decode(record.value or b"null")
        except msgspec.MsgspecError:
            return
        if found.object is not None:
            at_ms = found.object.last_modified_ms or parse_instant(found.announced_at) or 0
            if at_ms >= before_ms:
                self._known.add(found.space_id, found.object, at_ms=at_ms)
