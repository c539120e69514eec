"""Append-only stores of identities of one form: position → bytes, exactly.

They grow by factors, never shrink and never move a position. `forms.FormTable` gives them the slots by which they
find what they hold; the loops over identities stand in `loops`.
"""

from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.codec import encode
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import FixedArenaSaved, TextArenaSaved
from services.domain.membership.identities import loops
from services.domain.membership.identities.loops import Hashes, Positions, Slots
from services.domain.rows import Form, Identities

_FIRST_CAPACITY: Final = 64
_SMALL_BYTES: Final = 128 << 20
_WORDS: Final[dict[Form, type[np.unsignedinteger[Any]]]] = {
    Form.UUID: np.uint64, Form.HEX16: np.uint64, Form.HEX20: np.uint32, Form.HEX32: np.uint64
}  # fmt: skip
_HYPHENS_BEFORE: Final = (4, 6, 8, 10)  # bytes of a UUID


class Arena(Protocol):
    """What a table needs of its store."""

    def __len__(self) -> int: ...

    def size_bytes(self) -> int:
        """What the values take in memory."""
        ...

    def saved(self, packing: Packing) -> FixedArenaSaved | TextArenaSaved: ...

    def intern(self, identities: Identities, hashes: Hashes, slots: Slots) -> Positions:
        """The position of each; what is unknown is appended in order. `slots` must have room for all."""
        ...

    def take(self, positions: Positions) -> Identities:
        """The values at these positions, in their order."""
        ...

    def spelled(self, positions: Positions) -> bytes:
        """The canonical values as JSON texts, in their order, with commas between them."""
        ...


def arena_of(form: Form) -> Arena:
    """An empty store for a form."""
    return TextArena() if form is Form.TEXT else FixedArena(form)


def restored_arena(form: Form, saved: FixedArenaSaved | TextArenaSaved, unpacking: Unpacking) -> Arena:
    """The store of a form as it was saved."""
    if isinstance(saved, TextArenaSaved):
        return TextArena.restored(saved, unpacking)
    return FixedArena.restored(form, saved, unpacking)


def hash_identities(identities: Identities) -> Hashes:
    """64 bits of every byte of each value."""
    hashes = np.empty(len(identities), dtype=np.uint64)
    if identities.form is Form.TEXT:
        spans = identities.spans()
        loops.hash_spans(spans.data, spans.starts, spans.lengths, hashes)
    else:
        loops.hash_words(_words(identities), hashes)
    return hashes


class FixedArena:
    """Values of a fixed width, one after the other."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._values = np.empty((_FIRST_CAPACITY, form.width_bytes), dtype=np.uint8)
        self._count = 0

    def saved(self, packing: Packing) -> FixedArenaSaved:
        return FixedArenaSaved(packing.lasting(self._values[: self._count]))

    @classmethod
    def restored(cls, form: Form, saved: FixedArenaSaved, unpacking: Unpacking) -> Self:
        arena = cls(form)
        arena._values = unpacking.array(saved.values).reshape(-1, form.width_bytes)
        arena._count = len(arena._values)
        return arena

    def __len__(self) -> int:
        return self._count

    def size_bytes(self) -> int:
        return self._count * self._form.width_bytes

    def intern(self, identities: Identities, hashes: Hashes, slots: Slots) -> Positions:
        self._values = _with_room(self._values, self._count, self._count + len(identities))
        found = np.empty(len(identities), dtype=np.uint32)
        words, values = _words(identities), self._values.view(_WORDS[self._form])
        self._count = loops.intern_words(words, hashes, values, self._count, slots, found)
        return found

    def take(self, positions: Positions) -> Identities:
        return Identities.of_bytes(self._form, self._values[positions])

    def spelled(self, positions: Positions) -> bytes:
        stands, blank = _SPELLING[self._form]
        characters = np.empty((len(positions), len(blank)), dtype=np.uint8)
        loops.spell_bytes(self._values, positions, stands, blank, characters)
        return characters.reshape(-1)[:-1].tobytes()


class TextArena:
    """Values of any length: their bytes end to end, and where each begins."""

    def __init__(self) -> None:
        self._data = np.empty(_FIRST_CAPACITY, dtype=np.uint8)
        self._ends = np.zeros(_FIRST_CAPACITY, dtype=np.int64)  # value i is [ends[i], ends[i + 1])
        self._count = 0

    def saved(self, packing: Packing) -> TextArenaSaved:
        return TextArenaSaved(
            data=packing.lasting(self._data[: self._ends[self._count]]),
            ends=packing.lasting(self._ends[: self._count + 1]),
        )

    @classmethod
    def restored(cls, saved: TextArenaSaved, unpacking: Unpacking) -> Self:
        arena = cls()
        arena._data, arena._ends = unpacking.array(saved.data), unpacking.array(saved.ends)
        arena._count = len(arena._ends) - 1
        return arena

    def __len__(self) -> int:
        return self._count

    def size_bytes(self) -> int:
        return int(self._ends[self._count]) + self._ends.itemsize * (self._count + 1)

    def intern(self, identities: Identities, hashes: Hashes, slots: Slots) -> Positions:
        spans = identities.spans()
        end = int(self._ends[self._count])
        self._data = _with_room(self._data, end, end + int(spans.lengths.sum()))
        self._ends = _with_room(self._ends, self._count + 1, self._count + 1 + len(identities))
        found = np.empty(len(identities), dtype=np.uint32)
        batch = (spans.data, spans.starts, spans.lengths, hashes)
        self._count = loops.intern_spans(*batch, self._data, self._ends, self._count, slots, found)
        return found

    def take(self, positions: Positions) -> Identities:
        size = int(self._ends[self._count])
        buffers = [None, pa.py_buffer(self._ends[: self._count + 1]), pa.py_buffer(self._data[:size])]
        values = pa.LargeBinaryArray.from_buffers(pa.large_binary(), self._count, buffers)
        return Identities.of_text(values.take(pa.array(positions)))

    def spelled(self, positions: Positions) -> bytes:
        lengths = self._ends[positions + np.uint32(1)] - self._ends[positions]
        characters = np.empty(int(lengths.sum()) + 3 * len(positions), dtype=np.uint8)
        size = loops.spell_spans(self._data, self._ends, positions, characters)
        if size < 0:
            return encode(self.take(positions).texts())[1:-1]
        return characters[: size - 1].tobytes()


def _words(identities: Identities) -> loops.Words:
    """(n, words) of a fixed form, aligned."""
    words = identities.fixed.view(_WORDS[identities.form])
    return words if words.flags.aligned else words.copy()


def _with_room(array: npt.NDArray[Any], used: int, needed: int) -> npt.NDArray[Any]:
    if needed <= len(array):
        return array
    factor = 8 if array.nbytes < _SMALL_BYTES else 2  # what is never touched takes no memory
    grown = np.empty((max(needed, factor * len(array)), *array.shape[1:]), dtype=array.dtype)
    grown[:used] = array[:used]
    return grown


def _spelling(form: Form) -> tuple[loops.Indices, loops.Bytes]:
    """Where the digits of each byte stand in a JSON text with its comma, and the rest of it."""
    hyphens = _HYPHENS_BEFORE if form is Form.UUID else ()
    stands = [1 + 2 * byte + sum(byte >= before for before in hyphens) for byte in range(form.width_bytes)]
    blank = np.full(2 * form.width_bytes + len(hyphens) + 3, ord("-"), dtype=np.uint8)
    blank[[0, -2]], blank[-1] = ord('"'), ord(",")
    return np.array(stands, dtype=np.int64), blank


_SPELLING: Final = {form: _spelling(form) for form in _WORDS}
