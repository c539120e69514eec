"""Lines of fields as columns, by array operations: where every line's fields are, and which lines are no rows.

One pass finds all bytes that mean something; all else is over the few thousand positions found. Quotes mean nothing
here. Called by the parsers.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts import codes
from contracts.codes import Code
from services.domain.intake.refused import Numbers, RefusedRows

_TAB: Final = 9
_NEWLINE: Final = 10
_CARRIAGE_RETURN: Final = 13
_DELETE: Final = 0x7F

_Mask = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Rows of the right form. `identifiers` and `audiences` are large binary, as sent; `numbers` are rising.

    `audiences` is None where the rows name none.
    """

    identifiers: Any
    audiences: Any
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Shape:
    """What a row must look like: `fields` by `delimiter` (one byte), of which two are read."""

    delimiter: int
    fields: int
    identifier: int
    audience: int | None
    row_bytes_max: int


class _Refusals:
    """Each line is refused once, for what is found first."""

    def __init__(self, lines: int, first_number: int) -> None:
        self.good: _Mask = np.ones(lines, dtype=bool)
        self.rows: list[RefusedRows] = []
        self._first_number = first_number

    def refuse(self, code: Code, wrong: _Mask) -> None:
        wrong = wrong & self.good
        if wrong.any():
            self.good &= ~wrong
            self.rows.append(RefusedRows(code, np.flatnonzero(wrong) + self._first_number))


def split_lines(block: bytes, shape: Shape, first_number: int) -> tuple[Columns, list[RefusedRows], int]:
    """The rows of a block of whole lines, the refused ones, and how many lines there were.

    Refused, in this order: row-too-long, row-encoding (not UTF-8, or a control character other than tab and the end
    of the line), row-columns. A blank line is no row.
    """
    data: _Bytes = np.frombuffer(block, dtype=np.uint8)
    marks = np.flatnonzero((data < 0x20) | (data == _DELETE) | (data == shape.delimiter))
    kinds = data[marks]
    ends = marks[kinds == _NEWLINE]
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    stops = ends - ((data[ends - 1] == _CARRIAGE_RETURN) & (ends > starts))
    refusals = _Refusals(len(ends), first_number)
    refusals.good &= stops > starts
    refusals.refuse(codes.ROW_TOO_LONG, stops - starts > shape.row_bytes_max)
    controls = marks[(kinds != _NEWLINE) & (kinds != shape.delimiter) & (kinds != _TAB)]
    if len(controls):
        line = np.searchsorted(ends, controls)
        refusals.refuse(codes.ROW_ENCODING, _at_lines(line[controls < stops[line]], len(ends)))
    if data.max(initial=0) >= 0x80:
        refusals.refuse(codes.ROW_ENCODING, _not_utf8(block, data, starts, ends))
    separators = marks[kinds == shape.delimiter]
    line = np.searchsorted(ends, separators)
    refusals.refuse(codes.ROW_COLUMNS, np.bincount(line, minlength=len(ends)) != shape.fields - 1)
    good = refusals.good
    inner = separators[good[line]].reshape(int(good.sum()), shape.fields - 1)
    firsts = np.column_stack((starts[good], inner + 1))
    lasts = np.column_stack((inner, stops[good]))
    columns = Columns(
        _gathered(data, firsts[:, shape.identifier], lasts[:, shape.identifier]),
        None if shape.audience is None else _gathered(data, firsts[:, shape.audience], lasts[:, shape.audience]),
        np.flatnonzero(good) + first_number,
    )
    return columns, refusals.rows, len(ends)


def _at_lines(lines: npt.NDArray[np.int64], count: int) -> _Mask:
    mask = np.zeros(count, dtype=bool)
    mask[lines] = True
    return mask


def _not_utf8(block: bytes, data: _Bytes, starts: Numbers, ends: Numbers) -> _Mask:
    """The lines that are not UTF-8; each is looked at only where the block as a whole is not."""
    wrong = np.zeros(len(ends), dtype=bool)
    if _is_utf8(block):
        return wrong
    for line in np.unique(np.searchsorted(ends, np.flatnonzero(data >= 0x80))).tolist():
        wrong[line] = not _is_utf8(block[starts[line] : ends[line]])
    return wrong


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _gathered(data: _Bytes, firsts: Numbers, lasts: Numbers) -> Any:
    """The values `data[firsts[i]:lasts[i]]`, which are in order and apart, as one large binary array."""
    lengths = lasts - firsts
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    within = np.zeros(len(data) + 1, dtype=np.int8)
    within[firsts] += 1
    within[lasts] -= 1
    values = data[np.cumsum(within[:-1], dtype=np.int8).view(bool)]
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(values)]
    )
