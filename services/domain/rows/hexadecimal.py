"""From characters to the bytes they spell, whole columns at a time: hex digits in either case, UUIDs with hyphens.

Works on tiles that stay in the processor's nearest cache: fresh memory costs more than the arithmetic (a page fault
for each 4 KiB). Called by `canonical`; what a value of that shape means is said there.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

UUID_CHARACTERS: Final = 36
_TILE_BYTES: Final = 128 << 10
_CASE: Final = 0x20  # the bit that a lower-case letter has and its upper-case one has not; all digits have it
_ZERO: Final = np.uint8(ord("0"))
_A: Final = np.uint8(ord("a"))
_NIBBLE: Final = np.uint16(4)
_BYTE: Final = np.uint16(8)
# Of the eight characters from the 8th (or 18th) on, the first and the sixth are hyphens.
_HYPHENS_AT: Final = (8, 18)
_HYPHENS_MASK: Final = np.uint64(0x0000_FF00_0000_00FF)
_HYPHENS: Final = np.uint64(0x0000_2D00_0000_002D)
_UUID_WORDS: Final = (
    (0, 0, 8),
    (8, 9, 4),
    (12, 14, 4),
    (16, 19, 4),
    (20, 24, 4),
    (24, 28, 8),
)  # digit, stands at, bytes


def unhex(digits: Bytes, *, any_case: bool) -> tuple[Bytes, Mask]:
    """The (n, w) bytes that (n, 2w) characters spell, w divisible by 4, and which rows are hex digits throughout.

    Without `any_case` upper-case letters are none. The bytes of a row that is not hex mean nothing.
    """
    count, width = digits.shape
    assert width % 8 == 0, width
    values = np.empty((count, width // 2), dtype=np.uint8)
    good = np.ones(count, dtype=bool)
    step = _TILE_BYTES // width
    case = np.uint8(_CASE if any_case else 0)
    for first in range(0, count, step):
        tile = digits[first : first + step]
        letter = tile | case
        letter -= _A
        digit = tile - _ZERO
        is_hex = digit <= 9
        is_hex |= letter <= 5
        if not is_hex.all():
            good[first : first + step] = _rows_all(is_hex)
        letter += np.uint8(10)
        np.minimum(digit, letter, out=digit)  # the wrong one of both has wrapped around
        pairs = digit.view(np.uint16)
        values[first : first + step] = (pairs << _NIBBLE) | (pairs >> _BYTE)
    return values, good


def uuid_digits(texts: Bytes) -> tuple[Bytes, Mask]:
    """The (n, 32) characters beside the hyphens of (n, 36), and which rows have hyphens where a UUID has them."""
    count = len(texts)
    digits = np.empty((count, 32), dtype=np.uint8)
    for digit, at, size in _UUID_WORDS:
        words_at(digits, digit, size)[:] = words_at(texts, at, size)
    good = np.ones(count, dtype=bool)
    for at in _HYPHENS_AT:
        good &= (words_at(texts, at, 8) & _HYPHENS_MASK) == _HYPHENS
    return digits, good


def end_to_end(rows: Bytes) -> Bytes:
    """The rows end to end; copied, where they aren't yet, a row at a time and not byte by byte."""
    width = rows.shape[1]
    return np.ascontiguousarray(rows.view(f"V{width}")).view(np.uint8).reshape(-1, width)


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
