"""From characters to the bytes they spell, whole columns at a time: hex digits in either case, UUIDs with hyphens.

Works on tiles that stay in the processor's nearest cache: fresh memory costs more than the arithmetic (a page fault
for each 4 KiB). Called by `canonical`; what a value of that shape means is said there.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

UUID_CHARACTERS: Final = 36
_UUID_DIGITS: Final = 32
_UUID_RUNS: Final = ((0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 12))  # digit, stands at, characters
_TILE_BYTES: Final = 256 << 10
_CASE: Final = np.uint8(0x20)  # the bit that a lower-case letter has and its upper-case one has not; all digits have it
_ZERO: Final = np.uint8(ord("0"))
_A: Final = np.uint8(ord("a"))
_TEN: Final = np.uint8(10)
_NIBBLE: Final = np.uint16(4)
_BYTE: Final = np.uint16(8)
# Of the eight characters from the 8th (or 18th) on, the first and the sixth are hyphens.
_HYPHENS_AT: Final = (8, 18)
_HYPHENS_MASK: Final = np.uint64(0x0000_FF00_0000_00FF)
_HYPHENS: Final = np.uint64(0x0000_2D00_0000_002D)


def unhex(digits: Bytes, *, any_case: bool) -> tuple[Bytes, Mask]:
    """The (n, w) bytes that (n, 2w) characters spell, w divisible by 4, and which rows are hex digits throughout.

    Without `any_case` upper-case letters are none. The bytes of a row that is not hex mean nothing. The rows may stand
    apart.
    """
    width = digits.shape[1]
    return _by_tiles(digits, ((0, 0, width),), width, any_case=any_case)


def unhex_uuids(texts: Bytes) -> tuple[Bytes, Mask]:
    """As `unhex` of (n, 36) characters in either case, of which four must be the hyphens of a UUID."""
    values, good = _by_tiles(texts, _UUID_RUNS, _UUID_DIGITS, any_case=True)
    for at in _HYPHENS_AT:
        good &= (words_at(texts, at, 8) & _HYPHENS_MASK) == _HYPHENS
    return values, good


def _by_tiles(texts: Bytes, runs: Sequence[tuple[int, int, int]], width: int, *, any_case: bool) -> tuple[Bytes, Mask]:
    """What the `width` digits spell that stand in `runs` of each row."""
    assert width % 8 == 0, width
    count, step = len(texts), _TILE_BYTES // width
    values = np.empty((count, width // 2), dtype=np.uint8)
    good = np.ones(count, dtype=bool)
    room = np.empty((3, min(count, step), width), dtype=np.uint8)  # for all tiles: it stays in the cache
    for first in range(0, count, step):
        part = texts[first : first + step]
        digit, letter, is_letter = room[:, : len(part)]
        for to, at, size in runs:
            kind = f"V{size}"  # a run at a time, not byte by byte
            digit[:, to : to + size].view(kind)[:] = part[:, at : at + size].view(kind)
        if any_case:
            np.bitwise_or(digit, _CASE, out=letter)
            letter -= _A
        else:
            np.subtract(digit, _A, out=letter)
        digit -= _ZERO
        is_hex = digit <= 9
        is_hex |= np.less_equal(letter, 5, out=is_letter.view(bool))
        if not is_hex.all():
            good[first : first + step] = _rows_all(is_hex)
        letter += _TEN
        np.minimum(digit, letter, out=digit)  # the wrong one of both has wrapped around
        pairs = digit.view(np.uint16)
        values[first : first + step] = (pairs << _NIBBLE) | (pairs >> _BYTE)
    return values, good


def words_at(rows: Bytes, at: int, size: int) -> npt.NDArray[np.uint64]:
    """`size` bytes (1, 2, 4 or 8) of every row from byte `at` on, as one little-endian number each: a view."""
    return rows[:, at : at + size].view(f"<u{size}")[:, 0]


def _rows_all(good: Mask) -> Mask:
    """Which rows of (n, w) are true throughout; by words, since a reduction over a short axis is slow."""
    words = good.view(np.uint64)
    together = words[:, 0].copy()
    for at in range(1, words.shape[1]):
        together &= words[:, at]
    whole: Mask = together == np.uint64(0x0101_0101_0101_0101)
    return whole
