"""The sets and arrays of a checkpoint as sections of one run of bytes, and back.

What may change after the copy was taken is written out at once, through the sink that `Packing` is given; arrays that
only ever grow, or fill up, are remembered as views. The run holds the former first. Knows nothing of the classes of
state.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash
from pyroaring import BitMap

Kind = Literal["roaring", "|u1", "<i8", "<u8"]
Sink = Callable[[bytes | memoryview], object]
"""Takes bytes that it need not copy: they are not kept by the caller."""

Filling = npt.NDArray[np.uint64]
AsOf = Callable[[Filling], Filling]

_ROARING: Final[Kind] = "roaring"
_PART_BYTES: Final = 1 << 20


class Damaged(Exception):  # noqa: N818 - it says what the checkpoint is
    """These bytes are not those of a checkpoint that was written."""


class Section(msgspec.Struct, frozen=True, array_like=True):
    """One set or array. `lasting` ones follow all others in the run."""

    kind: Kind
    size_bytes: int
    lasting: bool


@dataclass(frozen=True, slots=True, eq=False)
class _AsItWas:
    """The bytes of an array at the time of the copy, made when they are asked for."""

    array: Filling
    as_of: AsOf

    def __iter__(self) -> Iterator[memoryview]:
        step = _PART_BYTES // self.array.itemsize
        for start in range(0, len(self.array), step):
            yield _bytes_of(self.as_of(self.array[start : start + step]))


class Packing:
    """Gives each set and array the number of its section. Nothing may be folded until all have theirs."""

    def __init__(self, sink: Sink) -> None:
        self.sections: list[Section] = []
        self._sink = sink
        self._lasting: list[Iterable[memoryview]] = []
        self._known: dict[int, tuple[BitMap, int]] = {}  # by hash: the bitmap of a section
        self._seen: dict[int, tuple[BitMap, int]] = {}  # by identity; held, so that no other set gets it

    def bitmap(self, bitmap: BitMap) -> int:
        """A set as it is now. Equal sets become one section: an audience with one layer is its layer.

        Serialising is the cheapest copy there is: five times cheaper than `BitMap.copy`.
        """
        if id(bitmap) not in self._seen:
            self._seen[id(bitmap)] = bitmap, self._number(bitmap)
        return self._seen[id(bitmap)][1]

    def lasting(self, array: npt.NDArray[Any]) -> int:
        """A part of an array whose values never change."""
        view = _bytes_of(array)
        self._lasting.append((view,))
        return self._section(_kind(array), len(view), lasting=True)

    def filling(self, array: Filling, as_of: AsOf) -> int:
        """An array in which only what is vacant may be taken later: `as_of` says of a part of it how it is now."""
        self._lasting.append(_AsItWas(array, as_of))
        return self._section(_kind(array), array.nbytes, lasting=True)

    def views(self) -> list[Iterable[memoryview]]:
        """What comes after everything that the sink was given, each in some pieces, as often as it is asked for."""
        return self._lasting

    def sets_bytes(self) -> int:
        """The size of all sets that were given."""
        return sum(section.size_bytes for section in self.sections if section.kind == _ROARING)

    def _number(self, bitmap: BitMap) -> int:
        serialized: bytes = bitmap.serialize()
        hashed = xxhash.xxh3_64_intdigest(serialized)
        known = self._known.get(hashed)
        if known is not None and known[0] == bitmap:  # hashes can be made to collide
            return known[1]
        self._sink(serialized)
        number = self._section(_ROARING, len(serialized), lasting=False)
        self._known[hashed] = bitmap, number
        return number

    def _section(self, kind: Kind, size_bytes: int, *, lasting: bool) -> int:
        self.sections.append(Section(kind, size_bytes, lasting))
        return len(self.sections) - 1


class Unpacking:
    """Takes the run piece by piece, in order; has every set and array when all of it has come."""

    def __init__(self, sections: list[Section]) -> None:
        self._found: dict[int, BitMap | npt.NDArray[Any]] = {}
        self._given: set[int] = set()
        self._sections = sections
        self._targets = self._buffers()
        self._target = next(self._targets, None)
        self._filled = 0

    def feed(self, piece: bytes) -> None:
        """The next bytes of the run. Raises `Damaged` where there are too many."""
        rest = memoryview(piece)
        while rest:
            if self._target is None:
                raise Damaged("more bytes than its sections hold")
            taken = rest[: len(self._target) - self._filled]
            self._target[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rest = rest[len(taken) :]
            if self._filled == len(self._target):
                self._target, self._filled = next(self._targets, None), 0

    def finished(self) -> Self:
        """Itself. Raises `Damaged` where bytes are missing."""
        if self._target is not None:
            raise Damaged("fewer bytes than its sections hold")
        return self

    def bitmap(self, number: int) -> BitMap:
        """A set of its own: what is one section here may be two sets there."""
        found = self._found[number]
        assert isinstance(found, BitMap)
        if number in self._given:
            return found.copy()
        self._given.add(number)
        return found

    def array(self, number: int) -> npt.NDArray[Any]:
        """An array that its taker may write to."""
        found = self._found[number]
        assert isinstance(found, np.ndarray)
        return found

    def _buffers(self) -> Iterator[memoryview]:
        """Where the bytes of each section go, in the order of the run; what is full becomes a set or an array."""
        numbers = sorted(range(len(self._sections)), key=lambda number: self._sections[number].lasting)
        for number in numbers:
            section = self._sections[number]
            array = np.empty(section.size_bytes, dtype=np.uint8)
            if section.size_bytes:
                yield array.data
            if section.kind == _ROARING:
                self._found[number] = BitMap.deserialize(array.tobytes())
            else:
                self._found[number] = array.view(section.kind)


def _kind(array: npt.NDArray[Any]) -> Kind:
    kind: Kind = msgspec.convert(array.dtype.str, Kind)
    return kind


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    assert array.flags.c_contiguous
    return array.reshape(-1).view(np.uint8).data
