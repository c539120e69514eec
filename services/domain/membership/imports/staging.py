"""Imports being read: the rows of each reading as bitmaps by audience, until one reading is applied.

Bounded by identities, not by rows. A reading is whole when its seal and its rows agree; a broken one is forgotten and
takes nothing more (engine.md §3).
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import numpy as np
from pyroaring import BitMap

from contracts.messages.steps import ImportOpenStep, Seal
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import OpenImportSaved, ReadingSaved
from services.domain.membership.identities.bitmaps import bitmap_of_sorted
from services.domain.membership.identities.table import Ordinals
from services.domain.membership.imports.order import ImportOrder
from services.domain.rows import RowBatch
from services.domain.rows.batch import Audiences


class Wrong(NamedTuple):
    """Why a reading is broken; with a `code` every other reading of the import would be too."""

    detail: str
    code: str | None = None


@dataclass(slots=True)
class Reading:
    """One reader's rows of one import on this partition."""

    _next_sequence: int = 0
    _rows: int = 0
    _sets: dict[tuple[str, str], BitMap] = field(default_factory=dict)  # by id type and audience
    _ended: bool = False
    whole: bool = False

    def saved(self, packing: Packing) -> ReadingSaved:
        return ReadingSaved(
            next_sequence=self._next_sequence,
            rows=self._rows,
            sets=[(*key, packing.bitmap(members)) for key, members in sorted(self._sets.items())],
            ended=self._ended,
            whole=self.whole,
        )

    @classmethod
    def restored(cls, saved: ReadingSaved, unpacking: Unpacking) -> Self:
        sets = {(id_type, audience_id): unpacking.bitmap(members) for id_type, audience_id, members in saved.sets}
        return cls(saved.next_sequence, saved.rows, sets, saved.ended, saved.whole)

    def expects(self, sequence: int) -> bool:
        """Whether this batch is still to be staged: a repeated one, or one after the end, is not."""
        return not self._ended and sequence >= self._next_sequence

    def is_gap(self, sequence: int) -> bool:
        """Whether batches are missing before this one."""
        return sequence > self._next_sequence

    def stage(self, id_type: str, batch: RowBatch, ordinals: Ordinals) -> None:
        """Takes the next batch; `ordinals` are those of its identities."""
        self._next_sequence += 1
        self._rows += len(batch)
        for index, members in by_audience(batch.audience, ordinals):
            key = (id_type, batch.audiences[index])
            known = self._sets.get(key)
            if known is None:
                self._sets[key] = members
            else:
                known |= members

    def seal(self, seal: Seal) -> Wrong | None:
        """Ends the reading; returns what is wrong with it, None where it is whole."""
        self._ended = True
        if (seal.batches, seal.rows) != (self._next_sequence, self._rows):
            return Wrong(
                f"sealed with {seal.batches} batches and {seal.rows} rows, "
                f"but {self._next_sequence} and {self._rows} arrived"
            )
        self.whole = True
        return None

    def fail(self) -> None:
        """It can never be whole: forget its rows and take no more."""
        self._ended, self.whole = True, False
        self._sets.clear()

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def rows(self) -> int:
        return self._rows

    def distinct(self) -> int:
        """Different (identity, audience) pairs."""
        return sum(map(len, self._sets.values()))

    def audience_ids(self) -> list[str]:
        """Those that the rows name."""
        return sorted({audience_id for _, audience_id in self._sets})

    def members(self, id_type: str, audience_id: str) -> BitMap:
        """Whom the rows name for an audience; read only."""
        return self._sets.get((id_type, audience_id), _NOBODY)


@dataclass(slots=True)
class OpenImport:
    """An import between its opening and its application or abort."""

    step: ImportOpenStep
    order: ImportOrder
    readings: dict[str, Reading] = field(default_factory=dict)

    def saved(self, packing: Packing) -> OpenImportSaved:
        readings = {reading_id: reading.saved(packing) for reading_id, reading in sorted(self.readings.items())}
        return OpenImportSaved(self.step, self.order, readings)

    @classmethod
    def restored(cls, saved: OpenImportSaved, unpacking: Unpacking) -> Self:
        readings = {name: Reading.restored(reading, unpacking) for name, reading in saved.readings.items()}
        return cls(saved.step, saved.order, readings)


_NOBODY = BitMap()
_RADIX_MAX: Final = (1 << 16) - 1


def by_audience(audience: Audiences, ordinals: Ordinals) -> list[tuple[int, BitMap]]:
    """One sort of `audience << 32 | ordinal`, then cut; less where the rows say less."""
    if not len(ordinals):
        return []
    rising = bool((ordinals[1:] >= ordinals[:-1]).all())  # as new identities are, and a file that comes again
    if (audience == audience[0]).all():
        return [(int(audience[0]), bitmap_of_sorted(ordinals if rising else np.sort(ordinals)))]
    if rising and audience.max() <= _RADIX_MAX:
        order = np.argsort(audience.astype(np.uint16), kind="stable")  # by radix
        indices, ordinals = audience[order], ordinals[order]
    else:
        keys = np.sort((audience.astype(np.uint64) << np.uint64(32)) | ordinals)
        indices, ordinals = (keys >> np.uint64(32)).astype(np.uint32), keys.astype(np.uint32)
    cuts = np.flatnonzero(indices[1:] != indices[:-1]) + 1
    starts = [0, *cuts.tolist()]
    parts = np.split(ordinals, cuts)
    return [(int(indices[start]), bitmap_of_sorted(part)) for start, part in zip(starts, parts, strict=True)]
