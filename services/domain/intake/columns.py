"""Lines of fields as columns, by array operations: where every line's fields are, and which lines are no rows.

Two passes find all bytes that mean something; all else is over the few thousand positions found. Quotes mean nothing
here. Called by the parsers.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts import codes
from contracts.codes import Code
from services.domain.intake.refused import Numbers, RefusedRows
from services.domain.rows import Canonical, Spans, canonicalise_spans, odd_bytes

_TAB: Final = 9
_NEWLINE: Final = 10
_CARRIAGE_RETURN: Final = 13
_NOT_ASCII: Final = 0x80
_YES: Final = frozenset({b"1", b"true", b"yes"})

_Mask = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """What the rows say, as sent: row i says `distinct[of_row[i]]`."""

    distinct: list[bytes]
    of_row: npt.NDArray[np.integer[Any]]

    @classmethod
    def of(cls, values: Any) -> "Texts":
        """Those of an Arrow LargeBinaryArray."""
        encoded = values.dictionary_encode()
        return cls(encoded.dictionary.to_pylist(), encoded.indices.to_numpy())


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Rows of the right form: `numbers` are rising, and `identifiers` counts its positions by them.

    `audiences` is None where the rows name none.
    """

    identifiers: Canonical
    audiences: Texts | None
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Shape:
    """What a row must look like: `fields` by `delimiter` (one byte), of which up to three are read."""

    delimiter: int
    fields: int
    identifier: int
    audience: int | None
    row_bytes_max: int
    id_type: str
    consent: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Where the rows of a block have the fields that are read.

    `odd` are the positions of bytes that aren't printable ASCII, newlines and some delimiters left out; `count` are all
    lines, refused and blank ones too.
    """

    identifiers: Spans
    audiences: Spans | None
    consents: Spans | None
    numbers: Numbers
    odd: Numbers
    refused: list[RefusedRows]
    count: int


class _Refusals:
    """Each line is refused once, for what is found first."""

    def __init__(self, good: _Mask, first_number: int) -> None:
        self.good = good
        self.rows: list[RefusedRows] = []
        self._first_number = first_number

    def refuse(self, code: Code, wrong: _Mask) -> None:
        wrong = wrong & self.good
        if wrong.any():
            self.good &= ~wrong
            self.rows.append(RefusedRows(code, np.flatnonzero(wrong) + self._first_number))


def split_lines(block: bytes, shape: Shape, first_number: int) -> tuple[Columns, list[RefusedRows], int]:
    """The rows of a block of whole lines, the refused ones, and how many lines there were."""
    lines = _consenting(lines_of(block, shape, first_number))
    audiences = None
    if lines.audiences is not None:
        audiences = Texts.of(lines.audiences.gathered())
    identifiers = canonicalise_spans(shape.id_type, lines.identifiers, lines.odd)
    return Columns(identifiers, audiences, lines.numbers), lines.refused, lines.count


def _consenting(lines: Lines) -> Lines:
    """Without the rows whose identities do not consent, which are refused."""
    if lines.consents is None:
        return lines
    texts = Texts.of(lines.consents.gathered())
    says = np.array([consents(text) for text in texts.distinct], dtype=bool)
    kept = says[texts.of_row] if len(lines.numbers) else np.empty(0, dtype=bool)
    if kept.all():
        return lines
    rows = np.flatnonzero(kept)
    audiences = None if lines.audiences is None else lines.audiences.chosen(rows)
    refused = [*lines.refused, RefusedRows(codes.ROW_CONSENT_MISSING, lines.numbers[~kept])]
    return replace(
        lines,
        identifiers=lines.identifiers.chosen(rows),
        audiences=audiences,
        numbers=lines.numbers[rows],
        refused=refused,
    )


def consents(text: bytes) -> bool:
    """Whether a field of the consent column is a yes; whatever else it says, or nothing, is none."""
    return text.strip().lower() in _YES


def lines_of(block: bytes, shape: Shape, first_number: int) -> Lines:
    """Where the fields are.

    Refused, in this order: row-too-long, row-encoding (not UTF-8, or a control character other than tab and the end
    of the line), row-columns. A blank line is no row.
    """
    data: _Bytes = np.frombuffer(block, dtype=np.uint8)
    odd = np.flatnonzero(odd_bytes(data))
    kinds = data[odd]
    is_end = kinds == _NEWLINE
    ends = odd[is_end]
    odd, kinds = odd[~is_end], kinds[~is_end]
    separators = np.flatnonzero(data == shape.delimiter)
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1] + 1
    stops = ends
    if len(odd):
        stops = ends - ((data[ends - 1] == _CARRIAGE_RETURN) & (ends > starts))
    refusals = _Refusals(stops > starts, first_number)
    refusals.refuse(codes.ROW_TOO_LONG, stops - starts > shape.row_bytes_max)
    if len(odd):
        _refuse_encoding(refusals, block, (starts, stops, ends), (odd, kinds), shape.delimiter)
    inner = _separators_of_rows(refusals, separators, starts, ends, shape.fields - 1)
    good = refusals.good
    numbers = np.arange(first_number, first_number + len(ends))
    if not good.all():
        starts, stops, numbers = starts[good], stops[good], numbers[good]

    def field(at: int) -> Spans:
        firsts = starts if at == 0 else inner[:, at - 1] + 1
        lasts = stops if at == shape.fields - 1 else inner[:, at]
        return Spans(data, firsts, lasts - firsts)

    audiences = None if shape.audience is None else field(shape.audience)
    said = None if shape.consent is None else field(shape.consent)
    return Lines(field(shape.identifier), audiences, said, numbers, odd, refusals.rows, len(ends))


def _refuse_encoding(
    refusals: _Refusals,
    block: bytes,
    lines: tuple[Numbers, Numbers, Numbers],
    odd: tuple[Numbers, _Bytes],
    delimiter: int,
) -> None:
    """`lines` are where they start, stop, and end (with the carriage return); `odd` positions and their bytes."""
    starts, stops, ends = lines
    positions, kinds = odd
    controls = positions[(kinds < _NOT_ASCII) & (kinds != delimiter) & (kinds != _TAB)]
    if len(controls):
        line = np.searchsorted(ends, controls)
        refusals.refuse(codes.ROW_ENCODING, _at_lines(line[controls < stops[line]], len(ends)))
    if not _is_utf8(block):
        wrong = np.zeros(len(ends), dtype=bool)
        for line in np.unique(np.searchsorted(ends, positions[kinds >= _NOT_ASCII])).tolist():
            wrong[line] = not _is_utf8(block[starts[line] : ends[line]])
        refusals.refuse(codes.ROW_ENCODING, wrong)


def _separators_of_rows(
    refusals: _Refusals, separators: Numbers, starts: Numbers, ends: Numbers, wanted: int
) -> npt.NDArray[np.int64]:
    """The separators of the good rows, (rows, wanted); lines with another number of them are refused."""
    if len(separators) == len(ends) * wanted:
        inner = separators.reshape(len(ends), wanted)
        if not wanted or ((inner[:, 0] >= starts) & (inner[:, -1] < ends)).all():
            return inner if refusals.good.all() else inner[refusals.good]
    line = np.searchsorted(ends, separators)
    refusals.refuse(codes.ROW_COLUMNS, np.bincount(line, minlength=len(ends)) != wanted)
    good = refusals.good
    return separators[good[line]].reshape(int(good.sum()), wanted)


def _at_lines(lines: npt.NDArray[np.int64], count: int) -> _Mask:
    mask = np.zeros(count, dtype=bool)
    mask[lines] = True
    return mask


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
