"""Canonical identifiers by form, one by one: for the few of a command, where a whole column's machinery costs more.

Says what `canonical` says of a column; a property test holds the two together.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from services.domain.rows.identities import Form, Identities, Indices

FEW: Final = 64
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX: Final = re.compile(r"[0-9a-f]+")
_HEX_FORMS: Final = {32: Form.HEX16, 40: Form.HEX20, 64: Form.HEX32}


def group_few(texts: Sequence[str]) -> list[tuple[Identities, Indices]]:
    """As `group_texts`."""
    found: dict[Form, tuple[list[bytes], list[int]]] = {}
    for at, text in enumerate(texts):
        form, value = _formed(text)
        values, positions = found.setdefault(form, ([], []))
        values.append(value)
        positions.append(at)
    return [(_column(form, found[form][0]), np.array(found[form][1])) for form in Form if form in found]


def _formed(text: str) -> tuple[Form, bytes]:
    if len(text) == 36 and _UUID.fullmatch(text):
        return Form.UUID, bytes.fromhex(text.replace("-", ""))
    form = _HEX_FORMS.get(len(text))
    if form is not None and _HEX.fullmatch(text):
        return form, bytes.fromhex(text)
    return Form.TEXT, text.encode()


def _column(form: Form, values: list[bytes]) -> Identities:
    if form is Form.TEXT:
        return Identities.of_text(pa.array(values, type=pa.large_binary()))
    return Identities.of_bytes(form, np.frombuffer(b"".join(values), dtype=np.uint8).reshape(-1, form.width_bytes))
