"""Finds identities of one form, or gives them the next positions: open addressing over an arena, a batch at a time.

A slot holds 32 bits of the hash (the tag) and the position + 1; linear probing. Two identities are one only if every
byte agrees, whatever their hashes. New identities are numbered in the order in which a batch first names them, so
positions depend on the log alone, never on the table's size or past.
"""

from typing import Final, Self

import numpy as np
import numpy.typing as npt

from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import FormTableSaved
from services.domain.membership.identities.arenas import (
    Hashes,
    Matches,
    Positions,
    arena_of,
    hash_identities,
    restored_arena,
    same_rows,
)
from services.domain.rows import Form, Identities

POSITIONS_MAX: Final = 1 << 29
_FIRST_SLOTS: Final = 256
_LOAD_MAX: Final = 0.7
_TAG: Final = np.uint64(0xFFFF_FFFF_0000_0000)
_POSITION: Final = np.uint64(0x0000_0000_FFFF_FFFF)
_ONE: Final = np.uint64(1)
_SAMPLED: Final = 4096

Rows = npt.NDArray[np.int64]


class FormTable:
    """Identities of one form by position."""

    def __init__(self, form: Form) -> None:
        self.arena = arena_of(form)
        self._slots = np.zeros(_FIRST_SLOTS, dtype=np.uint64)

    def saved(self, packing: Packing) -> FormTableSaved:
        return FormTableSaved(self.arena.saved(packing), packing.changing(self._slots))

    @classmethod
    def restored(cls, form: Form, saved: FormTableSaved, unpacking: Unpacking) -> Self:
        """As it was saved; where the slots were laid out by another version, they are made anew."""
        table = cls(form)
        table.arena, table._slots = restored_arena(form, saved.arena, unpacking), unpacking.array(saved.slots)
        if not table._finds_its_own():
            values = table.arena.take(np.arange(len(table.arena), dtype=np.uint32))
            table = cls(form)
            table.intern(values)
        return table

    def intern(self, identities: Identities) -> Positions:
        """The position of each; what was unknown is added. Equal identities get one position."""
        known = len(self.arena)
        if known + len(identities) > POSITIONS_MAX:
            raise OverflowError(f"more than {POSITIONS_MAX} identities of one form")
        self._make_room(len(identities))
        hashes = hash_identities(identities)
        at = self._home(hashes)
        # While the batch is probed, a new identity's position is `known` + the row that names it first.
        found = self._probe(identities, hashes, at, known)
        firsts = np.flatnonzero(found == known + np.arange(len(found)))
        if not len(firsts):
            return found.astype(np.uint32)
        ranks = np.empty(len(found), dtype=np.int64)
        ranks[firsts] = np.arange(len(firsts))
        self._slots[at[firsts]] = _entry(hashes[firsts], known + ranks[firsts])
        self.arena.append(identities.take(firsts))
        new = found >= known
        found[new] = known + ranks[found[new] - known]
        return found.astype(np.uint32)

    def _probe(self, identities: Identities, hashes: Hashes, at: Rows, known: int) -> Rows:
        """Positions, those of new identities provisional; `at` becomes the slot of each."""
        found = np.empty(len(hashes), dtype=np.int64)
        pending: Rows = np.arange(len(hashes), dtype=np.int64)
        mask = len(self._slots) - 1
        while len(pending):
            entries = self._slots[at[pending]]
            claims = pending[entries == 0]
            if len(claims):
                # Of several rows at one vacant slot the last write stays: backwards, so that the first row wins.
                self._slots[at[claims[::-1]]] = _entry(hashes[claims], known + claims)[::-1]
                entries = self._slots[at[pending]]
            positions = (entries & _POSITION).astype(np.int64) - 1
            alike = np.flatnonzero((entries & _TAG) == (hashes[pending] & _TAG))
            hits = alike[self._same(positions[alike], identities, pending[alike], known)]
            found[pending[hits]] = positions[hits]
            pending = np.delete(pending, hits)
            at[pending] = (at[pending] + 1) & mask
        return found

    def _same(self, positions: Rows, identities: Identities, rows: Rows, known: int) -> Matches:
        matches = np.empty(len(positions), dtype=bool)
        stored = positions < known
        matches[stored] = self.arena.same(
            positions[stored].astype(np.uint32), identities, rows[stored].astype(np.uint32)
        )
        new = ~stored
        matches[new] = same_rows(identities, (positions[new] - known).astype(np.uint32), rows[new].astype(np.uint32))
        return matches

    def _home(self, hashes: Hashes) -> Rows:
        return (hashes & np.uint64(len(self._slots) - 1)).astype(np.int64)

    def _finds_its_own(self) -> bool:
        """Whether the slots lead to the identities, as far as a sample tells: those of another hash lead to none."""
        size, count = len(self._slots), len(self.arena)
        if size & (size - 1) or count > _LOAD_MAX * size:
            return False
        sample = np.linspace(0, count - 1, min(count, _SAMPLED), dtype=np.uint32)
        hashes = hash_identities(self.arena.take(sample))
        entries, at = _entry(hashes, sample.astype(np.int64)), self._home(hashes)
        pending: Rows = np.arange(len(sample), dtype=np.int64)
        while len(pending):
            found = self._slots[at[pending]]
            if (found == 0).any():
                return False
            pending = pending[found != entries[pending]]
            at[pending] = (at[pending] + 1) & (size - 1)
        return True

    def _make_room(self, coming: int) -> None:
        count = len(self.arena)
        size = len(self._slots)
        while count + coming > _LOAD_MAX * size:
            size *= 2
        if size == len(self._slots):
            return
        self._slots = np.zeros(size, dtype=np.uint64)
        hashes = self.arena.hashes()
        at = self._home(hashes)
        pending: Rows = np.arange(count, dtype=np.int64)
        while len(pending):  # all values differ: a vacant slot is all that each needs
            vacant = pending[self._slots[at[pending]] == 0]
            self._slots[at[vacant]] = _entry(hashes[vacant], vacant)
            pending = pending[self._slots[at[pending]] != _entry(hashes[pending], pending)]
            at[pending] = (at[pending] + 1) & (size - 1)


def _entry(hashes: Hashes, positions: Rows) -> npt.NDArray[np.uint64]:
    entries: npt.NDArray[np.uint64] = (hashes & _TAG) | (positions.astype(np.uint64) + _ONE)
    return entries
