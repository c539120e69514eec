"""Rows of csv with quotes, one at a time, by RFC 4180: quoted delimiters and newlines, doubled quotes.

A field is quoted where it begins with a quote; a quote elsewhere in a field is itself. A row whose quotes are broken
(never closed, or closed and followed by text) costs its own line and no other: reading goes on at the next one. Called
by the csv parser for blocks that hold a quote.
"""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import numpy as np
import pyarrow as pa

from contracts import codes
from contracts.codes import Code
from services.domain.intake.columns import Columns, Shape, Texts, consents
from services.domain.intake.refused import RefusedRows
from services.domain.rows import canonicalise

_TO_CLOSING_QUOTE: Final = re.compile(rb'([^"]*+(?:""[^"]*+)*+)("?)')
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")  # of a row whose ends of lines are newlines


class Quotes(Enum):
    """How a row stands after a line: a quoted field is open, all are closed, or text follows a closed one."""

    OPEN = auto()
    CLOSED = auto()
    BROKEN = auto()


@dataclass(slots=True)
class CsvRow:
    """A row as it is read, line by line (each without its end). `size_bytes` counts newlines."""

    fields: list[bytes] = field(default_factory=list)
    open_parts: list[bytes] = field(default_factory=list)  # of a quoted field that is not closed yet
    size_bytes: int = 0

    def add(self, line: bytes) -> Quotes:
        """The row goes on with this line; it ends where its quotes are closed."""
        self.size_bytes += len(line) + 1
        at = 0
        quoted = bool(self.open_parts)
        while True:
            if quoted or line.startswith(b'"', at):
                found = _TO_CLOSING_QUOTE.match(line, at if quoted else at + 1)
                assert found is not None
                quoted = False
                self.open_parts.append(found[1])
                if not found[2]:
                    return Quotes.OPEN
                self.fields.append(b"\n".join(self.open_parts).replace(b'""', b'"'))
                self.open_parts = []
                at = found.end()
                if at < len(line) and line[at : at + 1] != b",":
                    return Quotes.BROKEN
            else:
                comma = line.find(b",", at)
                end = len(line) if comma < 0 else comma
                self.fields.append(line[at:end])
                at = end
            if at == len(line):
                return Quotes.CLOSED
            at += 1


@dataclass(slots=True)
class QuotedRows:
    """The rows of one block. `shape`'s delimiter is the comma."""

    shape: Shape
    number: int  # of the next row
    _identifiers: list[bytes] = field(default_factory=list)
    _audiences: list[bytes] = field(default_factory=list)
    _numbers: list[int] = field(default_factory=list)
    _refused: dict[str, list[int]] = field(default_factory=dict)

    def read(self, lines: list[bytes], *, last: bool) -> int:
        """Reads `lines` (without their ends) and says how many are used: a row that is open at the end waits.

        With `last` nothing waits.
        """
        at = 0
        while at < len(lines):
            used = self._read_row(lines, at, last=last)
            if not used:
                break
            at += used
            self.number += 1
        return at

    def columns(self) -> tuple[Columns, list[RefusedRows]]:
        """What was read so far."""
        refused = [RefusedRows(codes.ALL[code], np.array(numbers)) for code, numbers in self._refused.items()]
        identifiers = canonicalise(self.shape.id_type, pa.array(self._identifiers, pa.large_binary()))
        audiences = None
        if self.shape.audience is not None:
            audiences = Texts.of(pa.array(self._audiences, pa.large_binary()))
        return Columns(identifiers, audiences, np.array(self._numbers, dtype=np.int64)), refused

    def _read_row(self, lines: list[bytes], first: int, *, last: bool) -> int:
        """Lines used by the row that begins at `first`; 0 where it needs more than there are."""
        row = CsvRow()
        at = first
        while (quotes := row.add(lines[at])) is Quotes.OPEN and row.size_bytes <= self.shape.row_bytes_max:
            at += 1
            if at == len(lines):
                if not last:
                    return 0
                break
        if quotes is not Quotes.CLOSED:
            too_long = len(lines[first]) > self.shape.row_bytes_max
            self._refuse(codes.ROW_TOO_LONG if too_long else codes.ROW_QUOTES)
            return 1
        text = b"\n".join(lines[first : at + 1])
        code = self._wrong(row, text) or self._without_consent(row, text)
        if code is not None:
            self._refuse(code)
        elif text:  # a blank line is no row
            self._identifiers.append(row.fields[self.shape.identifier])
            if self.shape.audience is not None:
                self._audiences.append(row.fields[self.shape.audience])
            self._numbers.append(self.number)
        return at + 1 - first

    def _wrong(self, row: CsvRow, text: bytes) -> Code | None:
        if not text:
            return None
        if len(text) > self.shape.row_bytes_max:
            return codes.ROW_TOO_LONG
        try:
            text.decode()
        except UnicodeDecodeError:
            return codes.ROW_ENCODING
        if _CONTROL.search(text):
            return codes.ROW_ENCODING
        return codes.ROW_COLUMNS if len(row.fields) != self.shape.fields else None

    def _without_consent(self, row: CsvRow, text: bytes) -> Code | None:
        at = self.shape.consent
        return codes.ROW_CONSENT_MISSING if text and at is not None and not consents(row.fields[at]) else None

    def _refuse(self, code: Code) -> None:
        self._refused.setdefault(code.code, []).append(self.number)
