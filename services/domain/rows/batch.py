"""A batch of rows, (identity, audience), and its wire form: an Arrow IPC stream of one record batch.

Columns `identity` (fixed-size binary, or large binary of UTF-8 for text) and `audience` (uint32, an index into the
audience ids that stand in the schema's metadata). The id type is not here: it stands in the record's headers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.domain.rows.identities import Form, Identities

Audiences = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class RowBatch:
    """Row i says that `identities[i]` is named for audience `audiences[audience[i]]`."""

    identities: Identities
    audience: Audiences
    audiences: list[str]

    def __post_init__(self) -> None:
        assert len(self.identities) == len(self.audience)

    @classmethod
    def concat(cls, parts: "Sequence[RowBatch]") -> "RowBatch":
        """One batch from at least one; all of one form, all counting by the same audiences."""
        first = parts[0]
        if len(parts) == 1:
            return first
        assert all(part.audiences is first.audiences for part in parts)
        identities = Identities.concat([part.identities for part in parts])
        return cls(identities, np.concatenate([part.audience for part in parts]), first.audiences)

    def __len__(self) -> int:
        return len(self.audience)

    def part(self, first: int, last: int) -> "RowBatch":
        """The rows from `first` to before `last`; nothing is copied."""
        return RowBatch(self.identities.part(first, last), self.audience[first:last], self.audiences)


def scatter(batch: RowBatch, partitions: int) -> list[RowBatch | None]:
    """The rows of each partition of `partitions`, in their order; None where there are none."""
    homes = batch.identities.partitions(partitions)
    if partitions <= 1 << 16:
        homes = homes.astype(np.uint16)  # then the sort is by radix
    order = np.argsort(homes, kind="stable")
    ends = np.cumsum(np.bincount(homes, minlength=partitions))
    return [
        RowBatch(batch.identities.take(rows), batch.audience[rows], batch.audiences) if len(rows) else None
        for rows in np.split(order, ends[:-1])
    ]


def encode_rows(batch: RowBatch) -> bytes:
    """The wire form. Its size is about the bytes of the identities plus four for each row."""
    return encode_columns(batch, {})


def decode_rows(wire: bytes) -> RowBatch:
    """The batch of a wire form; raises ValueError where it is malformed in any way."""
    return decode_columns(wire, {})[0]


def encode_columns(batch: RowBatch, more: Mapping[str, Any]) -> bytes:
    """The wire form of rows that have more columns: Arrow arrays by name, without nulls."""
    identities = batch.identities
    if identities.form is Form.TEXT:
        column = identities.text
    else:
        kind = pa.binary(identities.form.width_bytes)
        column = pa.FixedSizeBinaryArray.from_buffers(kind, len(identities), [None, pa.py_buffer(identities.fixed)])
    metadata = {"form": identities.form.value, "audiences": json.dumps(batch.audiences)}
    columns = {"identity": column, "audience": pa.array(batch.audience), **more}
    schema = pa.schema([(name, one.type) for name, one in columns.items()], metadata=metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(list(columns.values()), schema=schema))
    wire: bytes = sink.getvalue().to_pybytes()
    return wire


def decode_columns(wire: bytes, more: Mapping[str, Any]) -> tuple[RowBatch, dict[str, Any]]:
    """The rows, and the columns beside them, whose types `more` says; raises ValueError as `decode_rows` does."""
    try:
        with pa.ipc.open_stream(wire) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, MemoryError, EOFError) as error:
        raise ValueError(f"not an Arrow stream: {error}") from None
    form, audiences = _metadata(table.schema)
    identity_type = pa.large_binary() if form is Form.TEXT else pa.binary(form.width_bytes)
    expected = {"identity": identity_type, "audience": pa.uint32(), **more}
    if table.schema.names != [*expected] or table.schema.types != [*expected.values()]:
        raise ValueError(f"wrong columns: {table.schema.names} {table.schema.types}"[:200])
    identity, audience, *others = (column.combine_chunks() for column in table.columns)
    if any(column.null_count for column in (identity, audience, *others)):
        raise ValueError("nulls in the rows")
    index = audience.to_numpy(zero_copy_only=True)
    if len(index) and int(index.max()) >= len(audiences):
        raise ValueError("a row names an audience that the batch does not list")
    return RowBatch(_identities(form, identity), index, audiences), dict(zip(more, others, strict=True))


def _metadata(schema: Any) -> tuple[Form, list[str]]:
    metadata = schema.metadata or {}
    form = Form(metadata.get(b"form", b"").decode())
    try:
        audiences = json.loads(metadata.get(b"audiences", b""))
    except RecursionError:
        raise ValueError("the audiences are nested") from None
    if not isinstance(audiences, list) or not all(isinstance(name, str) for name in audiences):
        raise ValueError("the audiences are not a list of ids")
    return form, audiences


def _identities(form: Form, column: Any) -> Identities:
    if form is Form.TEXT:
        try:
            column.cast(pa.large_utf8())
        except pa.ArrowException:
            raise ValueError("an identifier is not UTF-8") from None
        return Identities.of_text(column)
    if len(column) == 0:
        return Identities.empty(form)
    width = form.width_bytes
    start = column.offset * width
    values = np.frombuffer(column.buffers()[1], dtype=np.uint8)[start : start + len(column) * width]
    return Identities.of_bytes(form, values.reshape(-1, width))
