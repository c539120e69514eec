"""Blocks whose lines differ, but for a few, in their identifiers only, which are all of one width.

That is what most objects are made of: one audience, UUIDs or hashes. Such lines need no look for their fields and are
decoded as one matrix of bytes; whatever is not plainly so is left to `split_lines`, which says the same of all lines.
Quotes mean nothing here. Called by the parsers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.domain.intake.columns import Columns, Shape, Texts, lines_of, split_lines
from services.domain.intake.refused import Numbers, RefusedRows
from services.domain.rows import Canonical, canonical_column
from services.domain.rows.hexadecimal import words_at

_ALIKE_SHARE_MIN: Final = 0.9  # below, `split_lines` may as well have them all
_WIDTH_MAX: Final = 1 << 10  # wider lines are few in a block
_WIDTHS_LOOKED_AT: Final = 3
_OTHERS_MAX: Final = 64  # lines of another width in a block: each costs a look at all that follow
_NEWLINE: Final = 10
_WORDS: Final = (8, 4, 2, 1)
_DIGITS_AND_LETTERS: Final = bytes(ord("0") if byte < 0x80 and chr(byte).isalnum() else byte for byte in range(256))

_Mask = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]


class _Run(NamedTuple):
    """`lines` lines of one width from byte `start` on, of which the first has place `first` in the block."""

    start: int
    lines: int
    first: int


class _Fields(NamedTuple):
    """Where the identifier and the audience of a line begin and end."""

    identifier: tuple[int, int]
    audience: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """`columns` are the lines that are alike, all good rows; `rest` the others, whose numbers are `rest_numbers`."""

    columns: Columns
    rest: bytes
    rest_numbers: Numbers
    count: int  # of all lines


def rows_of(block: bytes, shape: Shape, first_number: int) -> tuple[list[Columns], list[RefusedRows], int]:
    """The rows of a block of whole lines, the refused ones, and how many lines there were."""
    alike = alike_lines(block, shape, first_number) if shape.consent is None else None
    if alike is None:
        columns, refused, count = split_lines(block, shape, first_number)
        return [columns], refused, count
    if not alike.rest:
        return [alike.columns], [], alike.count
    numbers = alike.rest_numbers
    others, refused, _ = split_lines(alike.rest, shape, 0)
    others = replace(others, numbers=numbers[others.numbers])
    refused = [RefusedRows(one.code, numbers[one.numbers]) for one in refused]
    return [alike.columns, others], refused, alike.count


def alike_lines(block: bytes, shape: Shape, first_number: int) -> Alike | None:
    """Takes such a block of whole lines apart; None where it is no such block."""
    width = _usual_width(block)
    found = _runs(block, width) if 0 < width <= _WIDTH_MAX else None
    if found is None:
        return None
    runs, others = found
    texts = [memoryview(block)[run.start : run.start + run.lines * width] for run in runs]
    lines = np.frombuffer(texts[0] if len(texts) == 1 else b"".join(texts), dtype=np.uint8).reshape(-1, width)
    if len(lines) < _ALIKE_SHARE_MIN * (len(lines) + len(others)):
        return None
    places = np.concatenate([np.arange(run.first, run.first + run.lines) for run in runs])
    taken = _columns(lines, shape, places)
    if taken is None:
        return None
    columns, good = taken
    if not good.all():
        wrong = np.flatnonzero(~good)
        others |= zip(places[wrong].tolist(), (line.tobytes() for line in lines[wrong]), strict=True)
    return _counted(columns, others, first_number)


def _counted(columns: Columns, others: Mapping[int, bytes], first_number: int) -> Alike:
    """Numbers for places: what stands in one place of `others` may be several lines, shorter ones that are as wide."""
    places = sorted(others)
    rest = [others[place] for place in places]
    sizes = np.array([text.count(b"\n") for text in rest], dtype=np.int64)
    numbers = columns.numbers + first_number
    if (sizes > 1).any():
        more_before = np.concatenate([[0], np.cumsum(sizes - 1)])
        numbers += more_before[np.searchsorted(places, columns.numbers)]
    lines_before = np.array(places, dtype=np.int64) - np.arange(len(places))  # lines of the rest left out
    rest_numbers = np.repeat(lines_before, sizes) + np.arange(sizes.sum()) + first_number
    count = len(numbers) + len(rest_numbers)
    return Alike(replace(columns, numbers=numbers), b"".join(rest), rest_numbers, count)


def _usual_width(block: bytes) -> int:
    """Of the first lines, one of which may be another; 0 where there is none."""
    widths: list[int] = []
    start = 0
    while len(widths) < _WIDTHS_LOOKED_AT and (end := block.find(b"\n", start) + 1):
        widths.append(end - start)
        start = end
    return max(widths, key=widths.count, default=0)


def _runs(block: bytes, width: int) -> tuple[list[_Run], dict[int, bytes]] | None:
    """Lines of that width as runs, the others by place; None where the others are many.

    Only the last byte of each line of a run is looked at: whoever reads the lines finds newlines within them. A place
    is a number, counted from 0, as if there were none.
    """
    data: _Bytes = np.frombuffer(block, dtype=np.uint8)
    runs: list[_Run] = []
    others: dict[int, bytes] = {}
    start = number = 0
    while start < len(block):
        is_end = data[start + width - 1 :: width] == _NEWLINE
        lines = len(is_end) if is_end.all() else int(is_end.argmin())
        if lines:
            runs.append(_Run(start, lines, number))
            start, number = start + lines * width, number + lines
        if start < len(block):
            end = block.index(b"\n", start) + 1
            others[number] = block[start:end]
            start, number = end, number + 1
            if len(others) > _OTHERS_MAX:
                return None
    return (runs, others) if runs else None


def _columns(lines: _Bytes, shape: Shape, places: Numbers) -> tuple[Columns, _Mask] | None:
    """The rows of (n, width) lines that are as the first of them, and which those are; None where few are.

    The first line says where the identifier stands. A line that is the same before and after it, and spells a value of
    the same form in its place, has its fields where the first has them.
    The rows are numbered by their places.
    """
    first = lines[0].tobytes()
    fields = _fields_of(first.translate(_DIGITS_AND_LETTERS), shape)
    if fields is None:
        return None
    start, end = fields.identifier
    good = _same(lines[:, :start]) & _same(lines[:, end:])
    if not _are_most(good):
        return None
    spelled = canonical_column(shape.id_type, lines[:, start:end])
    if spelled is None:
        return None
    identities, is_value = spelled
    good &= is_value
    if not _are_most(good):
        return None
    if not good.all():
        identities, places = identities.take(np.flatnonzero(good)), places[good]
    audiences = None
    if fields.audience is not None:
        name = first[slice(*fields.audience)]
        audiences = Texts([name], np.zeros(len(places), dtype=np.int64))
    return Columns(Canonical([(identities, np.arange(len(places)))], []), audiences, places), good


@lru_cache(maxsize=64)
def _fields_of(line: bytes, shape: Shape) -> _Fields | None:
    """Where the fields of a line stand, None where it is no row.

    That is the same whatever digits and ASCII letters it has, so it is asked with zeros for all of them: the lines of
    an object then have one answer or a few, and looking for it costs as much as a thousand lines.
    """
    found = lines_of(line, shape, 0)
    if found.count != 1 or len(found.numbers) != 1:
        return None
    bounds = [
        (int(spans.starts[0]), int(spans.starts[0] + spans.lengths[0]))
        for spans in (found.identifiers, found.audiences)
        if spans is not None
    ]
    return _Fields(bounds[0], bounds[1] if len(bounds) > 1 else None)


def _are_most(good: _Mask) -> bool:
    return bool(np.count_nonzero(good) >= _ALIKE_SHARE_MIN * len(good))


def _same(parts: _Bytes) -> _Mask:
    """Which rows are as the first is."""
    same = np.ones(len(parts), dtype=bool)
    at, last = 0, parts.shape[1]
    while at < last:
        size = next(size for size in _WORDS if size <= last - at)
        words = words_at(parts, at, size)
        same &= words == words[0]
        at += size
    return same
