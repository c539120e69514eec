"""From the columns of a block to the row batches of each partition, small enough for a record. Called by `Reading`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts import codes
from services.domain.intake.audiences import Resolve
from services.domain.intake.columns import Columns
from services.domain.intake.refused import RefusedRows
from services.domain.rows import Form, RowBatch, canonicalise, scatter

WIRE_BYTES_MAX: Final = 900_000  # headers, Arrow's own and the broker's overhead fit beside it in 1 MiB
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Named:
    """The audience of each row: an index into `ids`, -1 where the row names none that it may."""

    index: npt.NDArray[np.int64]
    ids: list[str]


def named_audiences(columns: Columns, resolve: Resolve, fixed: str | None) -> Named:
    """Resolves each distinct text once; `fixed` is the audience (id) of all rows where the rows name none."""
    if columns.audiences is None:
        ids = [] if fixed is None else [fixed]
        return Named(np.full(len(columns.numbers), len(ids) - 1, dtype=np.int64), ids)
    encoded = columns.audiences.dictionary_encode()
    positions: dict[str, int] = {}
    of_text = np.full(len(encoded.dictionary) + 1, _UNKNOWN, dtype=np.int64)
    for at, text in enumerate(encoded.dictionary.to_pylist()):
        audience_id = resolve(text.decode().strip())
        if audience_id is not None:
            of_text[at] = positions.setdefault(audience_id, len(positions))
    return Named(of_text[encoded.indices.to_numpy()], list(positions))


def row_batches(columns: Columns, named: Named, id_type: str) -> tuple[list[RowBatch], list[RefusedRows]]:
    """The valid rows, one batch for each form of identifier, and the others.

    An identifier that is no good is refused for that, whatever the audience.
    """
    canonical = canonicalise(id_type, columns.identifiers)
    refused = [RefusedRows(refusal.code, columns.numbers[refusal.positions]) for refusal in canonical.rejected]
    unknown: list[npt.NDArray[np.int64]] = []
    batches: list[RowBatch] = []
    for identities, positions in canonical.groups:
        index = named.index[positions]
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


def scattered(
    batch: RowBatch, partitions: int, *, wire_bytes_max: int = WIRE_BYTES_MAX
) -> Iterator[tuple[int, RowBatch]]:
    """The batch in pieces of one partition each, none larger than `wire_bytes_max` on the wire."""
    for partition, part in enumerate(scatter(batch, partitions)):
        if part is not None:
            for piece in _pieces(part, wire_bytes_max):
                yield partition, piece


def _pieces(batch: RowBatch, wire_bytes_max: int) -> Iterator[RowBatch]:
    """Halves and halves of halves. Each lists only the audiences that its rows name."""
    compact = _compact(batch)
    if len(compact) == 1 or _wire_bytes(compact) <= wire_bytes_max:
        yield compact
        return
    half = len(batch) // 2
    for rows in (np.arange(half), np.arange(half, len(batch))):
        yield from _pieces(RowBatch(batch.identities.take(rows), batch.audience[rows], batch.audiences), wire_bytes_max)


def _compact(batch: RowBatch) -> RowBatch:
    used = np.bincount(batch.audience, minlength=len(batch.audiences)) > 0
    if used.all():
        return batch
    place = (np.cumsum(used) - 1).astype(np.uint32)
    ids = [batch.audiences[at] for at in np.flatnonzero(used).tolist()]
    return RowBatch(batch.identities, place[batch.audience], ids)


def _wire_bytes(batch: RowBatch) -> int:
    """About the size of `encode_rows`, without making it."""
    width = batch.identities.form.width_bytes
    text: Any = batch.identities.text
    identities = len(batch) * width if batch.identities.form is not Form.TEXT else text.nbytes
    return int(identities) + 4 * len(batch) + len(json.dumps(batch.audiences)) + 2_000
