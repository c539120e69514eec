"""From the columns of a block to row batches: which audience each row names, and which rows name none.

Called by `Reading`.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts import codes
from services.domain.intake.audiences import Resolve
from services.domain.intake.columns import Columns, Texts
from services.domain.intake.refused import RefusedRows
from services.domain.rows import RowBatch

_UNKNOWN: Final = -1


class NamedAudiences:
    """The audiences that the rows of one object name, each by its place in `ids`.

    `fixed` is the audience (id) of all rows where the rows name none. What names nobody is not remembered: an object
    may hold any number of such texts.
    """

    def __init__(self, resolve: Resolve, fixed: str | None) -> None:
        self._resolve = resolve
        self._fixed = _UNKNOWN if fixed is None else 0
        self._places: dict[str, int] = {}  # by text
        self._by_id: dict[str, int] = {}
        self.ids: list[str] = [] if fixed is None else [fixed]

    def places(self, texts: Texts | None, rows: int) -> npt.NDArray[np.int64]:
        """For each row a place in `ids`, -1 where the row names none that it may."""
        if texts is None:
            return np.full(rows, self._fixed, dtype=np.int64)
        of_text = np.array([self._place(text) for text in texts.distinct], dtype=np.int64)
        return of_text[texts.of_row] if rows else np.empty(0, dtype=np.int64)

    def _place(self, sent: bytes) -> int:
        text = sent.decode().strip()
        place = self._places.get(text)
        if place is None:
            audience_id = self._resolve(text)
            if audience_id is None:
                return _UNKNOWN
            place = self._by_id.setdefault(audience_id, len(self.ids))
            if place == len(self.ids):
                self.ids.append(audience_id)
            self._places[text] = place
        return place


def row_batches(columns: Columns, named: NamedAudiences) -> tuple[list[RowBatch], list[RefusedRows]]:
    """The valid rows, one batch for each form of identifier, and the others.

    An identifier that is no good is refused for that, whatever the audience.
    """
    identifiers = columns.identifiers
    refused = [RefusedRows(refusal.code, columns.numbers[refusal.positions]) for refusal in identifiers.rejected]
    places = named.places(columns.audiences, len(columns.numbers))
    unknown: list[npt.NDArray[np.int64]] = []
    batches: list[RowBatch] = []
    for identities, positions in identifiers.groups:
        index = places[positions]
        known = np.flatnonzero(index != _UNKNOWN)
        if len(known) < len(index):
            unknown.append(positions[index == _UNKNOWN])
            identities, index = identities.take(known), index[known]  # noqa: PLW2901 - the rest of the group
        if len(index):
            batches.append(RowBatch(identities, index.astype(np.uint32), named.ids))
    if unknown:
        numbers = columns.numbers[np.sort(np.concatenate(unknown))]
        refused.append(RefusedRows(codes.ROW_AUDIENCE_UNKNOWN, numbers))
    return batches, refused
