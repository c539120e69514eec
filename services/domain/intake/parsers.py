"""From blocks of whole lines to columns, by the feed's format. Called by `Reading`, one parser for one object.

`caret` and `tab`: two columns, identifier and audience; one column where the audience is not in the rows. `csv`: a
header names the columns, of which the feed's `columns` give up to three their role; others are not read.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from contracts import codes
from contracts.messages.entities import Column
from services.domain.intake.alike import rows_of
from services.domain.intake.columns import Columns, Shape
from services.domain.intake.quoted import CsvRow, QuotedRows, Quotes
from services.domain.intake.refused import ObjectRefused, RefusedRows

_DELIMITERS: Final = {"caret": b"^", "tab": b"\t"}
Parsed = tuple[list[Columns], list[RefusedRows]]


class Parser(Protocol):
    """One object's rows, block by block."""

    def parse(self, block: bytes, *, last: bool) -> Parsed:
        """The rows of a block of whole lines; `last` where it is the object's last (it may be empty).

        Raises `ObjectRefused`(object-header-invalid).
        """
        ...


def parser_of(
    kind: str, columns: Sequence[Column] | None, *, id_type: str, audience_in_rows: bool, row_bytes_max: int
) -> Parser:
    """The parser of a feed's `format` (contracts.md §3)."""
    if kind == "csv":
        given = {column.role for column in columns or ()}
        roles = ["identifier", *(["audience"] if audience_in_rows else []), *(given & {"consent"})]
        return CsvParser(columns or [], roles, id_type=id_type, row_bytes_max=row_bytes_max)
    fields, audience = (2, 1) if audience_in_rows else (1, None)
    return DelimitedParser(Shape(_DELIMITERS[kind][0], fields, 0, audience, row_bytes_max, id_type))


class DelimitedParser:
    """`caret` and `tab`: every line is a row, quotes mean nothing."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._number = 1

    def parse(self, block: bytes, *, last: bool) -> Parsed:  # noqa: ARG002 - no row of these formats waits for more
        columns, refused, lines = rows_of(block, self._shape, self._number)
        self._number += lines
        return columns, refused


class CsvParser:
    """`csv`: by array operations while no quote is in sight, else row by row."""

    def __init__(self, columns: Sequence[Column], roles: Sequence[str], *, id_type: str, row_bytes_max: int) -> None:
        self._columns = columns
        self._roles = roles
        self._id_type = id_type
        self._row_bytes_max = row_bytes_max
        self._shape: Shape | None = None
        self._number = 1
        self._waiting = b""  # lines of a row whose quotes are open: at most `row_bytes_max`

    def parse(self, block: bytes, *, last: bool) -> Parsed:
        text, self._waiting = self._waiting + block, b""
        if self._shape is None:
            self._shape, text = self._read_header(text, last=last)
        if self._shape is None:
            self._waiting = text
            return [], []
        if b'"' not in text:
            found, refused, count = rows_of(text, self._shape, self._number)
            self._number += count
            return found, refused
        lines = text.split(b"\n")
        rows = QuotedRows(self._shape, self._number)
        used = rows.read([line.removesuffix(b"\r") for line in lines[:-1]], last=last)
        self._number = rows.number
        self._waiting = b"\n".join(lines[used:])
        columns, refused = rows.columns()
        return [columns], refused

    def _read_header(self, text: bytes, *, last: bool) -> tuple[Shape | None, bytes]:
        """The shape of the rows and the text after the header; None where the header needs more lines."""
        row, start = CsvRow(), 0
        while (end := text.find(b"\n", start)) >= 0:
            quotes = row.add(text[start:end].removesuffix(b"\r"))
            start = end + 1
            if row.size_bytes > self._row_bytes_max + 1:
                raise ObjectRefused(codes.OBJECT_HEADER_INVALID, "the header is longer than a row may be")
            if quotes is Quotes.BROKEN:
                raise ObjectRefused(codes.OBJECT_HEADER_INVALID, "the quotes of the header are broken")
            if quotes is Quotes.CLOSED:
                return self._shape_of(row.fields), text[start:]
        if last:
            raise ObjectRefused(codes.OBJECT_HEADER_INVALID, "there is no complete header")
        return None, text

    def _shape_of(self, fields: list[bytes]) -> Shape:
        try:
            names = [field.decode().strip() for field in fields]
        except UnicodeDecodeError:
            raise ObjectRefused(codes.OBJECT_HEADER_INVALID, "the header is not UTF-8") from None
        at = {role: self._position(names, role) for role in self._roles}
        return Shape(
            b","[0],
            len(names),
            at["identifier"],
            at.get("audience"),
            self._row_bytes_max,
            self._id_type,
            consent=at.get("consent"),
        )

    def _position(self, names: list[str], role: str) -> int:
        named = [column.name.strip() for column in self._columns if column.role == role]
        positions = [at for at, name in enumerate(names) if name in named]
        if len(positions) != 1:
            detail = f"{len(positions)} columns of the header are the feed's {role} column, not 1"
            raise ObjectRefused(codes.OBJECT_HEADER_INVALID, detail)
        return positions[0]
