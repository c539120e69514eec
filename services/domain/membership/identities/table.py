"""The identities of one space and id type as dense 32-bit ordinals, for ever.

An ordinal is the form (3 bits) and the position in that form's table (29 bits): sorted ordinals of one form lie
together, and a bitmap of them stays dense. Nothing else of membership sees an identifier.
"""

from typing import Final, Self

import numpy as np
import numpy.typing as npt

from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import IdentityTableSaved
from services.domain.membership.identities.forms import POSITIONS_MAX, FormTable, Known
from services.domain.rows import Form, Identities

Ordinals = npt.NDArray[np.uint32]

_FORMS: Final = tuple(Form)
_FORM_BASE: Final = {form: index * POSITIONS_MAX for index, form in enumerate(_FORMS)}


class IdentityTable:
    """Ordinals of identities, and identities of ordinals."""

    def __init__(self) -> None:
        self._tables: dict[Form, FormTable] = {}

    def saved(self, packing: Packing) -> IdentityTableSaved:
        return IdentityTableSaved({form.value: table.saved(packing) for form, table in sorted(self._tables.items())})

    @classmethod
    def restored(cls, saved: IdentityTableSaved, unpacking: Unpacking) -> Self:
        table = cls()
        for name, one in saved.tables.items():
            form = Form(name)
            table._tables[form] = FormTable.restored(form, one, unpacking)
        return table

    def __len__(self) -> int:
        return sum(len(table.arena) for table in self._tables.values())

    def size_bytes(self) -> int:
        """What they take in memory."""
        return sum(table.size_bytes() for table in self._tables.values())

    def intern(self, identities: Identities) -> Ordinals:
        """The ordinal of each identity, in order; unknown ones become known."""
        table = self._tables.get(identities.form)
        if table is None:
            table = self._tables[identities.form] = FormTable(identities.form)
        return table.intern(identities) + np.uint32(_FORM_BASE[identities.form])

    def find(self, identity: Identities) -> int | None:
        """The ordinal of one identity; None where it is unknown, and stays so."""
        table = self._tables.get(identity.form)
        position = None if table is None else table.find(identity)
        return None if position is None else _FORM_BASE[identity.form] + position

    def known(self, identities: Identities) -> Known:
        """Whether each is known; those that are not stay so."""
        table = self._tables.get(identities.form)
        return np.zeros(len(identities), dtype=bool) if table is None else table.known(identities)

    def spelled(self, ordinals: Ordinals) -> bytes:
        """The canonical values of sorted ordinals, at least one, as JSON texts with commas between them, in order.

        All must have come from `intern`.
        """
        first, last = (int(ordinal) // POSITIONS_MAX for ordinal in (ordinals[0], ordinals[-1]))
        if first == last:
            return self._tables[_FORMS[first]].arena.spelled(ordinals - np.uint32(first * POSITIONS_MAX))
        found = []
        cuts = np.searchsorted(ordinals, [*_FORM_BASE.values(), len(_FORMS) * POSITIONS_MAX]).tolist()
        for form, start, end in zip(_FORMS, cuts, cuts[1:], strict=False):
            if start < end:
                positions = ordinals[start:end] - np.uint32(_FORM_BASE[form])
                found.append(self._tables[form].arena.spelled(positions))
        return b",".join(found)
