"""The loops that run for each identity, compiled when this module is imported (decisions/0008).

Shapes and rules are the callers' (`arenas`, `slots`): nothing is checked here, and an index out of bounds is a crash.
Integers must keep to 64 bits without sign or to int64: numba makes a float of a mixture.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.domain.membership.identities.compiled import (
    BYTE,
    HALF_WORD,
    INDEX,
    WORD,
    compiled,
    prefetch,
    read,
    written,
)

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[Any]
Slots = npt.NDArray[np.uint64]
Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]

# Not the constants of contracts.partitioning: the hash that chooses the slot must not follow the partition's.
_WORD_MIX: Final = np.uint64(0x9FB21C651E98DF25)
_END_MIX: Final = np.uint64(0xD6E8FEB86659FD93)
_TAG: Final = np.uint64(0xFFFF_FFFF_0000_0000)
_POSITION: Final = np.uint64(0x0000_0000_FFFF_FFFF)
_VACANT: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_HALF: Final = np.uint64(32)
_END_SHIFT: Final = np.uint64(29)
_BYTE_BITS: Final = np.uint64(8)
_DIGITS: Final = np.frombuffer(bytes(range(256)).hex().encode(), dtype=np.uint8).reshape(256, 2)
_QUOTE: Final = ord('"')
_COMMA: Final = ord(",")
_BACKSLASH: Final = ord("\\")
_CONTROLS: Final = 0x20
_AHEAD: Final = 24  # rows whose slots are on their way: some 100 ns of work


@compiled((WORD, INDEX))
def _place(hashed: np.uint64, slots: int) -> np.int64:
    """The slot of a hash among so many, in the order of the tag, which is the top half of the hash."""
    return np.int64(((hashed >> _HALF) * np.uint64(slots)) >> _HALF)


@compiled((INDEX, INDEX))
def _following(at: np.int64, slots: int) -> np.int64:
    """The next slot; after the last comes the first."""
    return at + 1 if at + 1 < slots else np.int64(0)


@compiled(*((read(kind, 2), written(WORD)) for kind in (WORD, HALF_WORD)))
def hash_words(words: Words, hashes: Hashes) -> None:
    """64 bits of every byte of each row."""
    for row in range(words.shape[0]):
        mixed = _VACANT
        for column in range(words.shape[1]):
            mixed ^= mixed >> _HALF
            mixed = (mixed ^ words[row, column]) * _WORD_MIX
        mixed ^= mixed >> _END_SHIFT
        mixed *= _END_MIX
        hashes[row] = mixed ^ (mixed >> _HALF)


@compiled((read(BYTE), read(INDEX), read(INDEX), written(WORD)))
def hash_spans(data: Bytes, starts: Indices, lengths: Indices, hashes: Hashes) -> None:
    """64 bits of every byte of each value, and of its length."""
    for row in range(len(starts)):
        mixed = np.uint64(lengths[row]) * _END_MIX
        word = _VACANT
        for at in range(lengths[row]):
            word = (word << _BYTE_BITS) | np.uint64(data[starts[row] + at])
            if at & 7 == 7:
                mixed = (mixed ^ word) * _WORD_MIX
                mixed ^= mixed >> _HALF
                word = _VACANT
        mixed = (mixed ^ word) * _WORD_MIX
        mixed ^= mixed >> _END_SHIFT
        mixed *= _END_MIX
        hashes[row] = mixed ^ (mixed >> _HALF)


@compiled(*((read(kind, 2), INDEX, read(kind, 2), INDEX) for kind in (WORD, HALF_WORD)))
def _same_words(words: Words, row: int, values: Words, position: np.int64) -> bool:
    same = True
    for column in range(words.shape[1]):
        same &= words[row, column] == values[position, column]
    return same


@compiled(
    *(
        (read(kind, 2), read(WORD), written(kind, 2), INDEX, written(WORD), written(HALF_WORD))
        for kind in (WORD, HALF_WORD)
    )
)
def intern_words(  # noqa: PLR0917 - as of `intern_spans`
    words: Words, hashes: Hashes, values: Words, count: int, slots: Slots, found: Positions
) -> int:
    """Finds each row among the first `count` of `values`, or appends it; returns the new count.

    Files come again in their order: the position after the last one found is looked at before the slots are.
    """
    size = len(slots)
    position = np.int64(count)
    for row in range(words.shape[0]):
        if row + _AHEAD < words.shape[0]:
            prefetch(slots, _place(hashes[row + _AHEAD], size))
        position += 1
        if position < count and _same_words(words, row, values, position):
            found[row] = position
            continue
        tag = hashes[row] & _TAG
        at = _place(hashes[row], size)
        while True:
            entry = slots[at]
            position = np.int64(entry & _POSITION) - 1
            if entry == _VACANT:
                position = np.int64(count)
                count += 1
                for column in range(words.shape[1]):
                    values[position, column] = words[row, column]
                slots[at] = tag | np.uint64(count)
                break
            if entry & _TAG == tag and _same_words(words, row, values, position):
                break
            at = _following(at, size)
        found[row] = position
    return count


@compiled((read(BYTE), INDEX, INDEX, read(BYTE), read(INDEX), INDEX))
def _same_span(  # noqa: PLR0917 - as of `intern_spans`
    data: Bytes, start: int, length: int, values: Bytes, ends: Indices, position: np.int64
) -> bool:
    begin, byte = ends[position], 0
    if ends[position + 1] - begin != length:
        return False
    while byte < length and values[begin + byte] == data[start + byte]:
        byte += 1
    return byte == length


@compiled(
    (
        read(BYTE),
        read(INDEX),
        read(INDEX),
        read(WORD),
        written(BYTE),
        written(INDEX),
        INDEX,
        written(WORD),
        written(HALF_WORD),
    )
)
def intern_spans(  # noqa: PLR0917 - a batch, a store and a table, each in its arrays
    data: Bytes,
    starts: Indices,
    lengths: Indices,
    hashes: Hashes,
    values: Bytes,
    ends: Indices,
    count: int,
    slots: Slots,
    found: Positions,
) -> int:
    """As `intern_words`; value i is `values[ends[i] : ends[i + 1]]`."""
    size = len(slots)
    position = np.int64(count)
    for row in range(len(starts)):
        start, length = starts[row], lengths[row]
        if row + _AHEAD < len(starts):
            prefetch(slots, _place(hashes[row + _AHEAD], size))
        position += 1
        if position < count and _same_span(data, start, length, values, ends, position):
            found[row] = position
            continue
        tag = hashes[row] & _TAG
        at = _place(hashes[row], size)
        while True:
            entry = slots[at]
            position = np.int64(entry & _POSITION) - 1
            if entry == _VACANT:
                position = np.int64(count)
                count += 1
                for byte in range(length):
                    values[ends[position] + byte] = data[start + byte]
                ends[count] = ends[position] + length
                slots[at] = tag | np.uint64(count)
                break
            if entry & _TAG == tag and _same_span(data, start, length, values, ends, position):
                break
            at = _following(at, size)
        found[row] = position
    return count


@compiled((read(WORD), written(WORD)))
def widen(slots: Slots, wider: Slots) -> None:
    """Lays the slots out anew in `wider`, all vacant. The tag suffices: it holds the bits that choose the slot."""
    size = len(wider)
    for old in range(len(slots)):
        if slots[old] != _VACANT:
            at = _place(slots[old], size)
            while wider[at] != _VACANT:
                at = _following(at, size)
            wider[at] = slots[old]


@compiled((read(BYTE, 2), read(HALF_WORD), read(INDEX), read(BYTE), written(BYTE, 2)))
def spell_bytes(values: Bytes, positions: Positions, stands: Indices, blank: Bytes, spelled: Bytes) -> None:
    """Each value as `blank` with the two digits of byte i from `stands[i]` on."""
    for row in range(len(positions)):
        for character in range(len(blank)):
            spelled[row, character] = blank[character]
        for byte in range(len(stands)):
            value = values[positions[row], byte]
            spelled[row, stands[byte]] = _DIGITS[value, 0]
            spelled[row, stands[byte] + 1] = _DIGITS[value, 1]


@compiled((read(BYTE), read(INDEX), read(HALF_WORD), written(BYTE)))
def spell_spans(values: Bytes, ends: Indices, positions: Positions, spelled: Bytes) -> int:
    """Each value in quotes and with a comma, end to end; returns their size, or -1 where one needs escapes."""
    size = 0
    for row in range(len(positions)):
        spelled[size] = _QUOTE
        size += 1
        for at in range(ends[positions[row]], ends[positions[row] + 1]):
            value = values[at]
            if value < _CONTROLS or value in (_QUOTE, _BACKSLASH):
                return -1
            spelled[size] = value
            size += 1
        spelled[size] = _QUOTE
        spelled[size + 1] = _COMMA
        size += 2
    return size
