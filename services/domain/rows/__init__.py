"""Rows as columns: canonical identifiers by form, and the batch of rows that travels on `usher.membership.input.v1`.

Intake canonicalises, scatters and encodes; membership decodes; control canonicalises the identifiers of commands.
Every operation is over arrays. The rule for one value is `contracts.ids.canonical`; the partition and key of one
value are `contracts.partitioning`'s; property tests hold them together.
"""

from services.domain.rows.batch import RowBatch, decode_rows, encode_rows, scatter
from services.domain.rows.canonical import (
    Canonical,
    Refusal,
    canonical_column,
    canonicalise,
    canonicalise_spans,
    group_texts,
    odd_bytes,
)
from services.domain.rows.headers import (
    read_rows_header,
    read_stream_header,
    write_rows_header,
    write_stream_header,
)
from services.domain.rows.identities import Form, Identities, Spans
from services.domain.rows.stream import EventBatch, decode_events, encode_events, scatter_events

__all__ = [
    "Canonical",
    "EventBatch",
    "Form",
    "Identities",
    "Refusal",
    "RowBatch",
    "Spans",
    "canonical_column",
    "canonicalise",
    "canonicalise_spans",
    "decode_events",
    "decode_rows",
    "encode_events",
    "encode_rows",
    "group_texts",
    "odd_bytes",
    "read_rows_header",
    "read_stream_header",
    "scatter",
    "scatter_events",
    "write_rows_header",
    "write_stream_header",
]
