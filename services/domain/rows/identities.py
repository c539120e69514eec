"""A column of canonical identifiers of one form: bytes of fixed width, or text.

The form is a function of the value alone, so equal identifiers always have equal forms. Knows nothing of id types,
audiences or the wire.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from contracts.partitioning import GOLDEN, key_partition

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

_HEX_PAIRS: Final = np.frombuffer(bytes(range(256)).hex().encode(), dtype=np.uint16)  # two characters at once
_UUID_RUNS: Final = ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24))  # digits from, to; stand at


_FEW: Final = 8  # up to here one by one is faster


class Form(StrEnum):
    """Shape of a canonical value: UUID text, lower-case hex of 32, 40 or 64 digits, or anything else."""

    UUID = "uuid"
    HEX16 = "hex16"
    HEX20 = "hex20"
    HEX32 = "hex32"
    TEXT = "text"

    @property
    def width_bytes(self) -> int:
        """Bytes of one value; 0 for text."""
        return _WIDTHS[self]


_WIDTHS: Final = {Form.UUID: 16, Form.HEX16: 16, Form.HEX20: 20, Form.HEX32: 32, Form.TEXT: 0}


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Values of any length as one run of bytes: value i is `data[starts[i] : starts[i] + lengths[i]]`."""

    data: Bytes
    starts: Indices
    lengths: Indices

    @classmethod
    def of(cls, array: Any) -> "Spans":
        """Those of an Arrow LargeBinaryArray without nulls; nothing is copied."""
        _, offsets_buffer, data_buffer = array.buffers()
        if len(array) == 0:
            return cls(np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))
        offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
        data = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
        return cls(data, offsets[:-1], np.diff(offsets))

    def matrix(self, rows: Indices, width: int) -> Bytes:
        """(rows, width) of values that are all `width` bytes long."""
        if not len(rows):
            return np.empty((0, width), dtype=np.uint8)
        # One element begins at each byte: a value is then copied as a whole, not byte by byte.
        windows = np.ndarray((len(self.data) - width + 1,), dtype=f"V{width}", buffer=self.data, strides=(1,))
        return windows[self.starts[rows]].view(np.uint8).reshape(-1, width)

    def gathered(self) -> Any:
        """The values as a LargeBinaryArray of their own; they must be rising and apart in `data`."""
        count = len(self.starts)
        offsets = np.empty((count, 2), dtype=np.int64)
        offsets[:, 0] = self.starts
        offsets[:, 1] = self.starts + self.lengths
        bounds = np.append(offsets, offsets[-1:, 1])  # every second value is what lies between two of ours
        buffers = [None, pa.py_buffer(bounds), pa.py_buffer(self.data)]
        between = pa.LargeBinaryArray.from_buffers(pa.large_binary(), 2 * count, buffers)
        return between.take(pa.array(np.arange(0, 2 * count, 2)))

    def holding(self, positions: Indices) -> npt.NDArray[np.bool_]:
        """Which values hold one of these positions in `data`; the values must be rising and apart."""
        mask = np.zeros(len(self.starts), dtype=bool)
        if len(positions) and len(mask):
            rows = np.searchsorted(self.starts, positions, side="right") - 1
            inside = (rows >= 0) & (positions < (self.starts + self.lengths)[rows])
            mask[rows[inside]] = True
        return mask

    def chosen(self, rows: Indices) -> "Spans":
        """The values at these positions, in their order."""
        return Spans(self.data, self.starts[rows], self.lengths[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Identities:
    """`fixed` is (n, width) uint8, contiguous, for the fixed forms; `text` a LargeBinaryArray of UTF-8 for text."""

    form: Form
    fixed: Bytes
    text: Any  # pa.LargeBinaryArray; pyarrow ships no types

    @classmethod
    def of_bytes(cls, form: Form, values: Bytes) -> "Identities":
        """A column of a fixed form from (n, width) bytes."""
        assert values.ndim == 2, values.shape
        assert values.shape[1] == form.width_bytes > 0, (form, values.shape)
        return cls(form, np.ascontiguousarray(values), _NO_TEXT)

    @classmethod
    def of_text(cls, values: Any) -> "Identities":
        """A column of text from an Arrow array of binary or string, without nulls."""
        array = values if values.type == pa.large_binary() else values.cast(pa.large_binary())
        assert array.null_count == 0
        return cls(Form.TEXT, _NO_BYTES, array)

    @classmethod
    def empty(cls, form: Form) -> "Identities":
        """No identities, of this form."""
        return cls(form, np.empty((0, form.width_bytes), dtype=np.uint8), _NO_TEXT)

    @classmethod
    def concat(cls, parts: "Sequence[Identities]") -> "Identities":
        """One column from at least one of the same form."""
        form = parts[0].form
        assert all(part.form is form for part in parts)
        if form is Form.TEXT:
            return cls(form, _NO_BYTES, pa.concat_arrays([part.text for part in parts]))
        return cls(form, np.concatenate([part.fixed for part in parts]), _NO_TEXT)

    def __len__(self) -> int:
        return len(self.text) if self.form is Form.TEXT else len(self.fixed)

    def take(self, indices: npt.NDArray[np.integer[Any]]) -> "Identities":
        """The values at these positions, in their order."""
        if self.form is Form.TEXT:
            return Identities(self.form, self.fixed, self.text.take(pa.array(indices)))
        return Identities(self.form, self.fixed.take(indices, axis=0), self.text)

    def part(self, first: int, last: int) -> "Identities":
        """The values from `first` to before `last`; nothing is copied."""
        if self.form is Form.TEXT:
            return Identities(self.form, self.fixed, self.text.slice(first, last - first))
        return Identities(self.form, self.fixed[first:last], self.text)

    def texts(self) -> list[str]:
        """The canonical values."""
        if self.form is Form.TEXT:
            texts: list[str] = self.text.cast(pa.large_utf8()).to_pylist()
            return texts
        if len(self) == 0:
            return []
        characters = self.characters()
        packed: list[str] = (
            characters.view(f"S{characters.shape[1]}").ravel().astype(f"U{characters.shape[1]}").tolist()
        )
        return packed

    def spans(self) -> "Spans":
        """Where the bytes of each text lie."""
        assert self.form is Form.TEXT
        return Spans.of(self.text)

    def characters(self) -> Bytes:
        """(n, digits) ASCII of a fixed form: what `texts` spells, one row a value."""
        assert self.form is not Form.TEXT
        digits: Bytes = _HEX_PAIRS[self.fixed].view(np.uint8)
        if self.form is not Form.UUID:
            return digits
        hyphenated = np.full((len(self), 36), ord("-"), dtype=np.uint8)
        for first, last, at in _UUID_RUNS:
            hyphenated[:, at : at + last - first] = digits[:, first:last]
        return hyphenated

    def keys(self) -> npt.NDArray[np.uint64]:
        """(n, 2): the 16 bytes of `contracts.partitioning.member_key`, read as two little-endian words."""
        if self.form is Form.TEXT:
            values = self.text.to_numpy(zero_copy_only=False).tolist()  # a quarter of the time of `to_pylist`
            digests = b"".join(map(xxhash.xxh3_128_digest, values))
            return np.frombuffer(digests, dtype="<u8").reshape(-1, 2).astype(np.uint64, copy=False)
        leading = np.ndarray((len(self),), dtype="V16", buffer=self.fixed, strides=(self.form.width_bytes,))
        return np.ascontiguousarray(leading).view("<u8").reshape(-1, 2).astype(np.uint64, copy=False)

    def partitions(self, count: int) -> npt.NDArray[np.uint32]:
        """`contracts.partitioning.member_partition` of each."""
        keys = self.keys()
        if len(keys) <= _FEW:
            each = (keys[row].tobytes() for row in range(len(keys)))
            return np.array([key_partition(key, count) for key in each], dtype=np.uint32)
        mixed = keys[:, 0] ^ (keys[:, 1] * np.uint64(GOLDEN))
        mixed *= np.uint64(0xFF51AFD7ED558CCD)
        mixed ^= mixed >> np.uint64(33)
        mixed *= np.uint64(0xC4CEB9FE1A85EC53)
        scaled: npt.NDArray[np.uint64] = ((mixed >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32)
        return scaled.astype(np.uint32)


_NO_BYTES: Final[Bytes] = np.empty((0, 0), dtype=np.uint8)
_NO_TEXT: Final = pa.array([], type=pa.large_binary())
