"""The imports of one space that are being read, with the commands laid over them meanwhile."""

from collections.abc import Callable
from typing import Self

from pyroaring import BitMap

from contracts import codes
from contracts.messages.steps import ImportApplyStep, ImportOpenStep, ImportWeighStep, RowsHeader, Seal
from services.domain.membership.broken_log import BrokenLog
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import DeskSaved
from services.domain.membership.identities.directory import Directory
from services.domain.membership.imports.order import ImportOrder
from services.domain.membership.imports.overlay import Overlay, Since
from services.domain.membership.imports.staging import OpenImport, Reading, Wrong
from services.domain.rows import decode_rows


class Desk:
    """Open imports by id. What belongs to none of them (applied, aborted, never opened) is passed over."""

    def __init__(self) -> None:
        self._open: dict[str, OpenImport] = {}
        self._overlay = Overlay()
        self.newest_opened: ImportOrder | None = None  # what a replace or clear stands for from now on

    def saved(self, packing: Packing) -> DeskSaved:
        return DeskSaved(
            open=[opened.saved(packing) for _, opened in sorted(self._open.items())],
            overlay=self._overlay.saved(packing),
            newest_opened=self.newest_opened,
        )

    @classmethod
    def restored(cls, saved: DeskSaved, unpacking: Unpacking) -> Self:
        desk = cls()
        desk._open = {opened.step.import_id: OpenImport.restored(opened, unpacking) for opened in saved.open}
        desk._overlay = Overlay.restored(saved.overlay, unpacking)
        desk.newest_opened = saved.newest_opened
        return desk

    def open(self, step: ImportOpenStep) -> None:
        """Takes the import's place in the order."""
        if step.import_id in self._open:
            raise BrokenLog(f"import {step.import_id} is opened twice")
        opened = OpenImport(step, ImportOrder.of(step))
        self._open[step.import_id] = opened
        if self.newest_opened is None or opened.order > self.newest_opened:
            self.newest_opened = opened.order

    def stage(self, header: RowsHeader, value: bytes, directory: Directory) -> Wrong | None:
        """Takes a batch of rows; returns what broke its reading, if it did so now."""
        opened = self._open.get(header.import_id)
        reading = self._reading(header.import_id, header.reading_id)
        if opened is None or reading is None or not reading.expects(header.sequence):
            return None
        if reading.is_gap(header.sequence):
            reading.fail()
            return Wrong(f"batch {header.sequence} came before one that it follows")
        try:
            batch = decode_rows(value)
        except ValueError as error:
            reading.fail()
            return Wrong(f"batch {header.sequence} is unreadable: {error}"[:500])
        before = directory.count(header.id_type)
        ordinals = directory.intern(header.id_type, batch.identities)
        known, allowed = directory.count(header.id_type), opened.step.identities_max
        if allowed is not None and known > max(before, allowed):  # who is known already is always let in
            reading.fail()
            detail = f"{known} identities of type {header.id_type} on this partition, and {allowed} may be"
            return Wrong(detail, codes.IDENTITIES_TOO_MANY.code)
        reading.stage(header.id_type, batch, ordinals)
        return None

    def seal(self, seal: Seal, layers: Callable[[str], int]) -> Reading | Wrong | None:
        """The reading where it is whole now, what broke it, or None where the seal changes nothing.

        `layers` says how many dated layers an audience has.
        """
        opened = self._open.get(seal.import_id)
        reading = self._reading(seal.import_id, seal.reading_id)
        if opened is None or reading is None or reading.ended:
            return None
        wrong = reading.seal(seal) or _too_many(opened, reading, layers)
        if wrong is not None:
            reading.fail()
        return wrong or reading

    def choose(self, step: ImportWeighStep) -> tuple[OpenImport, Reading]:
        """As `take`; what was read besides is forgotten, since the import may be held for days."""
        opened, reading = self.take(step)
        opened.readings = {step.reading_id: reading}
        return opened, reading

    def take(self, step: ImportApplyStep | ImportWeighStep) -> tuple[OpenImport, Reading]:
        """The import with the reading to apply; raises `BrokenLog` where this partition doesn't hold it whole."""
        opened = self._open.get(step.import_id)
        reading = None if opened is None else opened.readings.get(step.reading_id)
        if opened is None or reading is None or not reading.whole:
            raise BrokenLog(f"import {step.import_id} is to be applied, but reading {step.reading_id} isn't whole here")
        return opened, reading

    def since(self, opened: OpenImport, audience_id: str) -> Since:
        """What commands did to an audience after the import was opened."""
        return self._overlay.since(opened.step.step, audience_id)

    def lay(self, step: int, audience_id: str, *, adds: bool, members: BitMap) -> None:
        """A command, or an applied removal feed, that counts as later than the imports opened before `step`."""
        opened = sorted(one.step.step for one in self._open.values())
        if opened and opened[0] < step:
            self._overlay.record(step, audience_id, adds=adds, members=members, opened=opened)

    def close(self, import_id: str) -> None:
        """It is applied or aborted: its readings go, and what was laid over it alone."""
        closed = self._open.pop(import_id, None)
        oldest = min((opened.step.step for opened in self._open.values()), default=None)
        if closed is not None and (oldest is None or closed.step.step < oldest):
            self._overlay.prune(oldest)

    def forget(self, audience_id: str) -> None:
        """The audience is gone."""
        self._overlay.forget(audience_id)

    def _reading(self, import_id: str, reading_id: str) -> Reading | None:
        opened = self._open.get(import_id)
        return None if opened is None else opened.readings.setdefault(reading_id, Reading())


def _too_many(opened: OpenImport, reading: Reading, layers: Callable[[str], int]) -> Wrong | None:
    allowed = opened.step.layers_max
    if opened.step.mode != "append" or allowed is None:
        return None
    full = [audience_id for audience_id in reading.audience_ids() if layers(audience_id) >= allowed]
    if not full:
        return None
    return Wrong(f"{len(full)} audiences, {full[0]} first, have {allowed} layers", codes.LAYERS_TOO_MANY.code)
