"""Append-only stores of identities of one form: position → bytes, exactly.

They grow by doubling, never shrink and never move a position. `forms.FormTable` finds values in them.
"""

from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import FixedArenaSaved, TextArenaSaved
from services.domain.rows import Form, Identities, Spans

Positions = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Matches = npt.NDArray[np.bool_]

_FIRST_CAPACITY: Final = 64
# Not the constants of contracts.partitioning: the hash that chooses the slot must not follow the partition's.
_WORD_MIX: Final = np.uint64(0x9FB21C651E98DF25)
_END_MIX: Final = np.uint64(0xD6E8FEB86659FD93)
_TEXT_SEED: Final = 0x75736865725F736C


class Arena(Protocol):
    """What a table needs of its store."""

    def __len__(self) -> int: ...

    def saved(self, packing: Packing) -> FixedArenaSaved | TextArenaSaved: ...

    def append(self, identities: Identities) -> None: ...

    def take(self, positions: Positions) -> Identities:
        """The values at these positions, in their order."""
        ...

    def hashes(self) -> Hashes:
        """`hash_identities` of all values."""
        ...

    def same(self, positions: Positions, identities: Identities, rows: Positions) -> Matches:
        """Whether the stored values are, byte for byte, those of these rows."""
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
    if identities.form is Form.TEXT:
        hashed = [xxhash.xxh3_64_intdigest(value, seed=_TEXT_SEED) for value in identities.text.to_pylist()]
        return np.array(hashed, dtype=np.uint64)
    return _hash_fixed(identities.fixed)


def same_rows(identities: Identities, left: Positions, right: Positions) -> Matches:
    """Whether two rows of one column are equal, pair by pair."""
    if identities.form is Form.TEXT:
        spans = identities.spans()
        return _same_text(_chosen(spans, left), _chosen(spans, right))
    matches: Matches = (identities.fixed[left] == identities.fixed[right]).all(axis=1)
    return matches


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

    def append(self, identities: Identities) -> None:
        end = self._count + len(identities)
        self._values = _with_room(self._values, self._count, end)
        self._values[self._count : end] = identities.fixed
        self._count = end

    def take(self, positions: Positions) -> Identities:
        return Identities.of_bytes(self._form, self._values[positions])

    def hashes(self) -> Hashes:
        return _hash_fixed(self._values[: self._count])

    def same(self, positions: Positions, identities: Identities, rows: Positions) -> Matches:
        matches: Matches = (self._values[positions] == identities.fixed[rows]).all(axis=1)
        return matches


class TextArena:
    """Values of any length: their bytes end to end, where each begins, and their hashes (dear to make again)."""

    def __init__(self) -> None:
        self._data = np.empty(_FIRST_CAPACITY, dtype=np.uint8)
        self._ends = np.zeros(_FIRST_CAPACITY, dtype=np.int64)  # value i is [ends[i], ends[i + 1])
        self._hashes = np.empty(_FIRST_CAPACITY, dtype=np.uint64)
        self._count = 0

    def saved(self, packing: Packing) -> TextArenaSaved:
        return TextArenaSaved(
            data=packing.lasting(self._data[: self._ends[self._count]]),
            ends=packing.lasting(self._ends[: self._count + 1]),
            hashes=packing.lasting(self._hashes[: self._count]),
        )

    @classmethod
    def restored(cls, saved: TextArenaSaved, unpacking: Unpacking) -> Self:
        arena = cls()
        arena._data, arena._ends = unpacking.array(saved.data), unpacking.array(saved.ends)
        arena._hashes = unpacking.array(saved.hashes)
        arena._count = len(arena._hashes)
        return arena

    def __len__(self) -> int:
        return self._count

    def append(self, identities: Identities) -> None:
        added = identities.spans()
        end, start_byte = self._count + len(identities), int(self._ends[self._count])
        self._ends = _with_room(self._ends, self._count + 1, end + 1)
        self._ends[self._count + 1 : end + 1] = start_byte + np.cumsum(added.lengths)
        self._data = _with_room(self._data, start_byte, int(self._ends[end]))
        self._data[start_byte : self._ends[end]] = _bytes_of(added)
        self._hashes = _with_room(self._hashes, self._count, end)
        self._hashes[self._count : end] = hash_identities(identities)
        self._count = end

    def take(self, positions: Positions) -> Identities:
        spans = self._spans(positions)
        offsets = np.concatenate(([0], np.cumsum(spans.lengths)))
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(_bytes_of(spans))]
        return Identities.of_text(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(positions), buffers))

    def hashes(self) -> Hashes:
        return self._hashes[: self._count]

    def same(self, positions: Positions, identities: Identities, rows: Positions) -> Matches:
        return _same_text(self._spans(positions), _chosen(identities.spans(), rows))

    def _spans(self, positions: Positions) -> Spans:
        starts = self._ends[positions]
        return Spans(self._data, starts, self._ends[positions + np.uint32(1)] - starts)


def _hash_fixed(values: npt.NDArray[np.uint8]) -> Hashes:
    count, width = values.shape
    padding = -width % 8
    if padding:
        values = np.concatenate([values, np.zeros((count, padding), dtype=np.uint8)], axis=1)
    words = np.ascontiguousarray(values).view("<u8").astype(np.uint64, copy=False)
    mixed = words[:, 0] * _WORD_MIX
    for column in range(1, words.shape[1]):
        mixed ^= mixed >> np.uint64(32)
        mixed = (mixed ^ words[:, column]) * _WORD_MIX
    mixed ^= mixed >> np.uint64(29)
    mixed *= _END_MIX
    hashed: Hashes = mixed ^ (mixed >> np.uint64(32))
    return hashed


def _chosen(spans: Spans, rows: Positions) -> Spans:
    return Spans(spans.data, spans.starts[rows], spans.lengths[rows])


def _same_text(left: Spans, right: Spans) -> Matches:
    matches: Matches = left.lengths == right.lengths
    alike = np.flatnonzero(matches & (left.lengths > 0))
    if not len(alike):
        return matches
    ours, theirs = (Spans(spans.data, spans.starts[alike], spans.lengths[alike]) for spans in (left, right))
    firsts = np.cumsum(ours.lengths) - ours.lengths
    matches[alike] = np.add.reduceat(_bytes_of(ours) != _bytes_of(theirs), firsts) == 0
    return matches


def _bytes_of(spans: Spans) -> npt.NDArray[np.uint8]:
    """The bytes of all values, end to end."""
    before = np.cumsum(spans.lengths) - spans.lengths
    total = int(spans.lengths.sum())
    at = np.arange(total, dtype=np.int64) + np.repeat(spans.starts - before, spans.lengths)
    gathered: npt.NDArray[np.uint8] = spans.data[at]
    return gathered


def _with_room(array: npt.NDArray[Any], used: int, needed: int) -> npt.NDArray[Any]:
    if needed <= len(array):
        return array
    grown = np.empty((max(needed, 2 * len(array)), *array.shape[1:]), dtype=array.dtype)
    grown[:used] = array[:used]
    return grown
