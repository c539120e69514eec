"""Finds identities of one form, or gives them the next positions: open addressing over an arena, a batch at a time.

A slot holds 32 bits of the hash (the tag) and the position + 1. Its place is the tag's share of all slots, with linear
probing, so that widening needs the slots alone and there may be any number of them. Two identities are one only if
every byte agrees, whatever their hashes. New identities are numbered in the order in which a batch first names them, so
positions depend on the log alone, never on the table's size or past.
"""

from functools import partial
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import FormTableSaved
from services.domain.membership.identities import loops
from services.domain.membership.identities.arenas import arena_of, hash_identities, restored_arena
from services.domain.membership.identities.loops import Positions, Slots
from services.domain.rows import Form, Identities

Known = npt.NDArray[np.bool_]

POSITIONS_MAX: Final = 1 << 29
_FIRST_SLOTS: Final = 256
_LOAD_MAX: Final = 0.75
_MANY_SLOTS: Final = 1 << 20  # from here on widening by half takes less memory, and not much more time
_POSITION: Final = np.uint64(0x0000_0000_FFFF_FFFF)
_TAG_BITS: Final = 32
_SAMPLED: Final = 4096
_AT_ONCE: Final = 1 << 16


class FormTable:
    """Identities of one form by position."""

    def __init__(self, form: Form) -> None:
        self.arena = arena_of(form)
        self._slots: Slots = np.zeros(_FIRST_SLOTS, dtype=np.uint64)

    def saved(self, packing: Packing) -> FormTableSaved:
        return FormTableSaved(
            self.arena.saved(packing), packing.filling(self._slots, partial(_before, len(self.arena)))
        )

    @classmethod
    def restored(cls, form: Form, saved: FormTableSaved, unpacking: Unpacking) -> Self:
        """As it was saved; where the slots were laid out by another version, they are made anew."""
        table = cls(form)
        table.arena, table._slots = restored_arena(form, saved.arena, unpacking), unpacking.array(saved.slots)
        count = len(table.arena)
        if table._finds_its_own():
            return table
        made = cls(form)
        for first in range(0, count, _AT_ONCE):
            positions = np.arange(first, min(first + _AT_ONCE, count), dtype=np.uint32)
            made.intern(table.arena.take(positions))
        return made

    def size_bytes(self) -> int:
        """Of values and slots; room that was never touched takes no memory."""
        return self.arena.size_bytes() + self._slots.nbytes

    def intern(self, identities: Identities) -> Positions:
        """The position of each; what was unknown is added. Equal identities get one position."""
        if len(self.arena) + len(identities) > POSITIONS_MAX:
            raise OverflowError(f"more than {POSITIONS_MAX} identities of one form")
        self._make_room(len(self.arena) + len(identities))
        return self.arena.intern(identities, hash_identities(identities), self._slots)

    def find(self, identity: Identities) -> int | None:
        """The position of one identity; None where it is unknown, and stays so."""
        (hashed,) = hash_identities(identity).tolist()
        size = len(self._slots)
        at = (hashed >> _TAG_BITS) * size >> _TAG_BITS
        while entry := int(self._slots[at]):
            position = (entry & int(_POSITION)) - 1
            if entry >> _TAG_BITS == hashed >> _TAG_BITS and self._is_at(position, identity):
                return position
            at = (at + 1) % size
        return None

    def known(self, identities: Identities) -> Known:
        """Whether each is known; those that are not stay so. One by one: asked only where no more may be known."""
        each = range(len(identities))
        return np.array([self.find(identities.part(one, one + 1)) is not None for one in each], dtype=bool)

    def _is_at(self, position: int, identity: Identities) -> bool:
        return self.arena.take(np.array([position], dtype=np.uint32)).texts() == identity.texts()

    def _make_room(self, count: int) -> None:
        size = len(self._slots)
        while count > _LOAD_MAX * size:
            size = size * 2 if size < _MANY_SLOTS else size * 3 // 2
        if size > len(self._slots):
            wider: Slots = np.zeros(size, dtype=np.uint64)
            loops.widen(self._slots, wider)
            self._slots = wider

    def _finds_its_own(self) -> bool:
        """Whether the slots lead to the identities, as far as a sample tells: those of another hash lead to none.

        What is wrong afterwards if they do not is the caller's to throw away.
        """
        size, count = len(self._slots), len(self.arena)
        if count > _LOAD_MAX * size or np.count_nonzero(self._slots) != count:
            return False
        if count and int((self._slots & _POSITION).max()) > count:
            return False
        # Backwards: what follows the one before would be found without the slots.
        sample = np.linspace(count - 1, 0, min(count, _SAMPLED), dtype=np.uint32)
        return bool((self.intern(self.arena.take(sample)) == sample).all())


def _before(count: int, slots: Slots) -> Slots:
    """Slots as they were when `count` identities were known: each that came later took one that was vacant."""
    return np.where((slots & _POSITION) > np.uint64(count), np.uint64(0), slots)
