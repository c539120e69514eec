"""From values as sent to canonical identifiers, a batch at a time: `contracts.ids.canonical` over arrays.

What is plainly canonical or a matter of letter case is decided by array operations; the rest (white space around the
value, bytes outside ASCII, refusals) is put to the rule for one value. Called by intake for rows, by control and
membership for the identifiers of commands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts import codes
from contracts.codes import Code
from contracts.ids import DEVICE_ID_TYPES, HASH_HEX_DIGITS, IDENTIFIER_BYTES_MAX, canonical
from services.domain.rows.identities import Bytes, Form, Identities, Indices, Spans

_NOT_HEX: Final = 0xFF
_UPPER_HEX: Final = 0x10
_DIGIT_VALUES: Final[Bytes] = np.full(256, _NOT_HEX, dtype=np.uint8)  # digit value; upper-case letters carry a flag
_DIGIT_VALUES[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16)
_DIGIT_VALUES[np.frombuffer(b"ABCDEF", dtype=np.uint8)] = np.arange(10, 16) | _UPPER_HEX
_PRINTABLE_ASCII: Final = np.array([0x20 <= byte < 0x7F for byte in range(256)])
_HYPHENS: Final = (8, 13, 18, 23)
_UUID_RUNS: Final = ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36))
_HEX_FORMS: Final = {32: Form.HEX16, 40: Form.HEX20, 64: Form.HEX32}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows (positions in the input) that have no canonical identifier, and why: `code` is a `row-*` code."""

    code: Code
    positions: Indices


@dataclass(frozen=True, slots=True)
class Canonical:
    """`groups`: identifiers of one form with their positions in the input, rising within a group."""

    groups: list[tuple[Identities, Indices]]
    rejected: list[Refusal]


def canonicalise(id_type: str, values: Any) -> Canonical:
    """The canonical identifiers of an Arrow array of binary or string (null counts as empty).

    Every position stands in exactly one group or one refusal.
    """
    array = _as_binary(values)
    column = Spans.of(array)
    pending = np.ones(len(column.lengths), dtype=bool)
    groups: list[tuple[Identities, Indices]] = []
    for identities, rows in _fixed_forms(id_type, column):
        pending[rows] = False
        groups.append((identities, rows))
    if id_type not in HASH_HEX_DIGITS:
        rows = _plain_text(column, pending)
        pending[rows] = False
        if len(rows):
            groups.append((Identities.of_text(array.take(pa.array(rows))), rows))
    rest, rejected = _one_by_one(id_type, column, np.flatnonzero(pending))
    return Canonical(_merged(groups + rest), rejected)


def group_texts(texts: Sequence[str]) -> list[tuple[Identities, Indices]]:
    """Identifiers that are canonical already, by form, with their positions."""
    found = canonicalise("", pa.array(texts, type=pa.large_utf8()))
    assert not found.rejected, "not canonical"
    return found.groups


def _as_binary(values: Any) -> Any:
    array = values if values.type == pa.large_binary() else values.cast(pa.large_binary())
    return array.fill_null(b"") if array.null_count else array


def _fixed_forms(id_type: str, column: Spans) -> Iterator[tuple[Identities, Indices]]:
    hash_digits = HASH_HEX_DIGITS.get(id_type)
    if hash_digits is None:
        yield from _uuids(column)
    for digits, form in _HEX_FORMS.items():
        if hash_digits is not None and digits != hash_digits:
            continue
        rows = np.flatnonzero(column.lengths == digits)
        if not len(rows):
            continue
        values = _DIGIT_VALUES[column.matrix(rows, digits)]
        device = id_type in DEVICE_ID_TYPES and digits == 32
        any_case = hash_digits is not None or device
        good = ((values != _NOT_HEX) if any_case else (values < 16)).all(axis=1)
        if good.any():
            yield Identities.of_bytes(Form.UUID if device else form, _packed(values[good])), rows[good]


def _uuids(column: Spans) -> Iterator[tuple[Identities, Indices]]:
    rows = np.flatnonzero(column.lengths == 36)
    if not len(rows):
        return
    characters = column.matrix(rows, 36)
    values = np.concatenate([_DIGIT_VALUES[characters[:, first:last]] for first, last in _UUID_RUNS], axis=1)
    good = (values != _NOT_HEX).all(axis=1)
    for at in _HYPHENS:
        good &= characters[:, at] == ord("-")
    if good.any():
        yield Identities.of_bytes(Form.UUID, _packed(values[good])), rows[good]


def _packed(values: Bytes) -> Bytes:
    """(n, 2w) digit values to (n, w) bytes."""
    low = values & np.uint8(0x0F)
    return (low[:, 0::2] << np.uint8(4)) | low[:, 1::2]


def _plain_text(column: Spans, pending: npt.NDArray[np.bool_]) -> Indices:
    """Rows that are canonical as they stand: printable ASCII of a good length, no space at either end."""
    rows = np.flatnonzero(pending & (column.lengths > 0) & (column.lengths <= IDENTIFIER_BYTES_MAX))
    if not len(rows):
        return rows
    starts, ends = column.starts[rows], column.starts[rows] + column.lengths[rows]
    odd_before = np.concatenate(([0], np.cumsum(~_PRINTABLE_ASCII[column.data])))
    good = odd_before[ends] == odd_before[starts]
    good &= (column.data[starts] != 0x20) & (column.data[ends - 1] != 0x20)
    plain: Indices = rows[good]
    return plain


def _one_by_one(id_type: str, column: Spans, rows: Indices) -> tuple[list[tuple[Identities, Indices]], list[Refusal]]:
    texts: list[str] = []
    kept: list[int] = []
    refused: dict[str, list[int]] = {}
    for row in rows.tolist():
        start = column.starts[row]
        found = _decide(id_type, column.data[start : start + column.lengths[row]].tobytes())
        if isinstance(found, Code):
            refused.setdefault(found.code, []).append(row)
        else:
            texts.append(found)
            kept.append(row)
    rejected = [Refusal(codes.ALL[code], np.array(at, dtype=np.int64)) for code, at in sorted(refused.items())]
    if not texts:
        return [], rejected
    return _grouped(texts, np.array(kept, dtype=np.int64)), rejected


def _grouped(texts: list[str], positions: Indices) -> list[tuple[Identities, Indices]]:
    """Canonical texts by form. What is ASCII takes the fast way again; all else is text."""
    ascii_only = np.array([text.isascii() for text in texts])
    groups = []
    for wanted in (True, False):
        at = np.flatnonzero(ascii_only == wanted)
        if not len(at):
            continue
        values = pa.array([texts[i] for i in at.tolist()], type=pa.large_utf8())
        if wanted:
            groups += [(identities, positions[at[rows]]) for identities, rows in canonicalise("", values).groups]
        else:
            groups.append((Identities.of_text(values), positions[at]))
    return groups


def _merged(groups: list[tuple[Identities, Indices]]) -> list[tuple[Identities, Indices]]:
    """One group a form, positions rising."""
    merged = []
    for form in Form:
        parts = [group for group in groups if group[0].form is form]
        if len(parts) == 1:
            merged.append(parts[0])
        elif parts:
            rows = np.concatenate([rows for _, rows in parts])
            order = np.argsort(rows)
            merged.append((Identities.concat([identities for identities, _ in parts]).take(order), rows[order]))
    return merged


def _decide(id_type: str, value: bytes) -> str | Code:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return codes.ROW_ENCODING
    found = canonical(id_type, text)
    if found is not None:
        return found
    stripped = text.strip()
    if not stripped:
        return codes.ROW_IDENTIFIER_EMPTY
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in stripped):
        return codes.ROW_ENCODING
    return codes.ROW_IDENTIFIER_INVALID
