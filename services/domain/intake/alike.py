"""Blocks whose lines differ, but for a few, in their identifiers only, which are all of one width.

That is what most objects are made of: one audience, UUIDs or hashes. Such lines need no look for their fields and are
decoded as one matrix of bytes; whatever is not plainly so is left to `split_lines`, which says the same of all lines.
Quotes mean nothing here. Called by the parsers.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from services.domain.intake.columns import Columns, Shape, Texts, lines_of, split_lines
from services.domain.intake.refused import Numbers, RefusedRows
from services.domain.rows import Canonical, Spans, canonical_column
from services.domain.rows.hexadecimal import words_at

_ALIKE_SHARE_MIN: Final = 0.9  # below, `split_lines` may as well have them all
_WIDTH_MAX: Final = 1 << 10  # longer lines than this are counted as one width, and are not alike
_NEWLINE: Final = 10
_WORDS: Final = (8, 4, 2, 1)

_Mask = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """`columns` are the lines that are alike, all good rows; `rest` the others, whose numbers are `rest_numbers`."""

    columns: Columns
    rest: bytes
    rest_numbers: Numbers
    count: int  # of all lines


def rows_of(block: bytes, shape: Shape, first_number: int) -> tuple[list[Columns], list[RefusedRows], int]:
    """The rows of a block of whole lines, the refused ones, and how many lines there were."""
    alike = alike_lines(block, shape, first_number)
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
    data: _Bytes = np.frombuffer(block, dtype=np.uint8)
    ends = _ends(block, data)
    if not len(ends):
        return None
    widths = np.diff(ends, prepend=-1)
    width = int(np.bincount(np.minimum(widths, _WIDTH_MAX)).argmax())
    of_width = widths == width
    if not _are_most(of_width):
        return None
    rows = np.flatnonzero(of_width)
    starts = ends - (widths - 1)
    lines = data.reshape(-1, width) if len(rows) == len(ends) else Spans(data, starts, widths).matrix(rows, width)
    found = _columns(lines, shape, rows + first_number)
    if found is None:
        return None
    columns, good = found
    if len(columns.numbers) == len(ends):
        return Alike(columns, b"", columns.numbers[:0], len(ends))
    others = np.ones(len(ends), dtype=bool)
    others[rows[good]] = False
    cuts = zip(starts[others].tolist(), (ends[others] + 1).tolist(), strict=True)
    rest = b"".join([block[first:last] for first, last in cuts])
    return Alike(columns, rest, np.flatnonzero(others) + first_number, len(ends))


def _ends(block: bytes, data: _Bytes) -> Numbers:
    """Where the newlines are."""
    is_end = data == _NEWLINE
    width = block.find(b"\n") + 1
    if width and np.count_nonzero(is_end) * width == len(data) and is_end[width - 1 :: width].all():
        return np.arange(width - 1, len(data), width)
    return np.flatnonzero(is_end)


def _columns(lines: _Bytes, shape: Shape, numbers: Numbers) -> tuple[Columns, _Mask] | None:
    """The rows of (n, width) lines that are as the first of them, and which those are; None where few are.

    The first line says where the identifier stands. A line that is the same before and after it, and spells a value of
    the same form in its place, has its fields where the first has them.
    """
    first = lines_of(lines[0].tobytes(), shape, 0)
    if len(first.numbers) != 1:
        return None
    start, length = int(first.identifiers.starts[0]), int(first.identifiers.lengths[0])
    good = _same(lines[:, :start]) & _same(lines[:, start + length :])
    if not _are_most(good):
        return None
    spelled = canonical_column(shape.id_type, lines[:, start : start + length])
    if spelled is None:
        return None
    identities, is_value = spelled
    good &= is_value
    if not _are_most(good):
        return None
    if not good.all():
        identities, numbers = identities.take(np.flatnonzero(good)), numbers[good]
    audiences = None
    if first.audiences is not None:
        text = first.audiences.gathered().to_pylist()
        audiences = Texts(text, np.zeros(len(numbers), dtype=np.int64))
    return Columns(Canonical([(identities, np.arange(len(numbers)))], []), audiences, numbers), good


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
