"""From values as sent to canonical identifiers, a batch at a time: `contracts.ids.canonical` over arrays.

What is plainly canonical or a matter of letter case is decided by array operations; the rest (white space around the
value, bytes outside ASCII, refusals) is put to the rule for one value, and so are raw addresses and numbers, which
become hashes. Called by intake for rows, by control and membership for the identifiers of commands.
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
from contracts.raw_ids import RAW_ID_TYPES, hashed, kept_id_type
from services.domain.rows.few import FEW, group_few
from services.domain.rows.hexadecimal import UUID_CHARACTERS, unhex, unhex_uuids
from services.domain.rows.identities import Bytes, Form, Identities, Indices, Spans

_PRINTABLE_FIRST: Final = np.uint8(0x20)
_PRINTABLE_COUNT: Final = np.uint8(0x7F - 0x20)
_SPACE: Final = 0x20
_HEX_FORMS: Final = {32: Form.HEX16, 40: Form.HEX20, 64: Form.HEX32}
_WIDTHS: Final = (UUID_CHARACTERS, *_HEX_FORMS)


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
    column = Spans.of(_as_binary(values))
    return canonicalise_spans(id_type, column, np.flatnonzero(odd_bytes(column.data)))


def canonicalise_spans(id_type: str, column: Spans, odd: Indices) -> Canonical:
    """`canonicalise` of values that are rising and apart in `column.data`.

    `odd` are the positions, rising, of at least those `odd_bytes` that lie in a value.
    """
    if id_type in RAW_ID_TYPES:
        return Canonical(*_one_by_one(id_type, column, np.arange(len(column.lengths))))
    pending = np.ones(len(column.lengths), dtype=bool)
    groups: list[tuple[Identities, Indices]] = []
    for identities, rows in _fixed_forms(id_type, column):
        groups.append((identities, rows))
        if len(rows) == len(pending):
            return Canonical(groups, [])
        pending[rows] = False
    if id_type not in HASH_HEX_DIGITS:
        rows = np.flatnonzero(pending & _plain_text(column, odd))
        pending[rows] = False
        if len(rows):
            groups.append((Identities.of_text(column.chosen(rows).gathered()), rows))
    rest, rejected = _one_by_one(id_type, column, np.flatnonzero(pending))
    return Canonical(_merged(groups + rest), rejected)


def canonical_column(id_type: str, characters: Bytes) -> tuple[Identities, npt.NDArray[np.bool_]] | None:
    """(n, width) characters as identities of one fixed form, and which of them are any; None where no form is so wide.

    The rows may stand apart.
    """
    if id_type in RAW_ID_TYPES or characters.shape[1] not in _WIDTHS:
        return None
    return _spelled(id_type, characters)


def odd_bytes(data: Bytes) -> npt.NDArray[np.bool_]:
    """Which bytes are not printable ASCII."""
    return (data - _PRINTABLE_FIRST) >= _PRINTABLE_COUNT


def group_texts(texts: Sequence[str]) -> list[tuple[Identities, Indices]]:
    """Identifiers that are canonical already, by form, with their positions."""
    if len(texts) <= FEW:
        return group_few(texts)
    found = canonicalise("", pa.array(texts, type=pa.large_utf8()))
    assert not found.rejected, "not canonical"
    return found.groups


def _as_binary(values: Any) -> Any:
    array = values if values.type == pa.large_binary() else values.cast(pa.large_binary())
    return array.fill_null(b"") if array.null_count else array


def _fixed_forms(id_type: str, column: Spans) -> Iterator[tuple[Identities, Indices]]:
    for width in _WIDTHS:
        rows = np.flatnonzero(column.lengths == width)
        found = _spelled(id_type, column.matrix(rows, width)) if len(rows) else None
        if found is None:
            continue
        identities, good = found
        if good.all():
            yield identities, rows
        elif good.any():
            yield identities.take(np.flatnonzero(good)), rows[good]


def _spelled(id_type: str, characters: Bytes) -> tuple[Identities, npt.NDArray[np.bool_]] | None:
    """What (n, width) characters spell, and which of them do; None where none of that width can, for this id type."""
    width = characters.shape[1]
    hash_digits = HASH_HEX_DIGITS.get(id_type)
    if width == UUID_CHARACTERS:
        if hash_digits is not None:
            return None
        values, good = unhex_uuids(characters)
        return Identities.of_bytes(Form.UUID, values), good
    if hash_digits is not None and width != hash_digits:
        return None
    device = id_type in DEVICE_ID_TYPES and width == 32
    values, good = unhex(characters, any_case=hash_digits is not None or device)
    return Identities.of_bytes(Form.UUID if device else _HEX_FORMS[width], values), good


def _plain_text(column: Spans, odd: Indices) -> npt.NDArray[np.bool_]:
    """Values that are canonical as they stand: printable ASCII of a good length, no space at either end."""
    plain = (column.lengths > 0) & (column.lengths <= IDENTIFIER_BYTES_MAX)
    plain &= ~column.holding(odd)
    if not len(column.data):
        return plain
    last = len(column.data) - 1
    firsts = np.minimum(column.starts, last)  # an empty value may stand behind the last byte
    plain &= (column.data[firsts] != _SPACE) & (column.data[column.starts + column.lengths - 1] != _SPACE)
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
    found = hashed(kept_id_type(id_type), text) if id_type in RAW_ID_TYPES else canonical(id_type, text)
    if found is not None:
        return found
    stripped = text.strip()
    if not stripped:
        return codes.ROW_IDENTIFIER_EMPTY
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in stripped):
        return codes.ROW_ENCODING
    return codes.ROW_IDENTIFIER_INVALID
