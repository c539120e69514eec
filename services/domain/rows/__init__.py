"""Rows as columns: canonical identifiers by form, and the batch of rows that travels on `usher.membership.input.v1`.

Intake canonicalises, scatters and encodes; membership decodes; control canonicalises the identifiers of commands.
Every operation is over arrays. The rule for one value is `contracts.ids.canonical`; the partition and key of one
value are `contracts.partitioning`'s; property tests hold them together.
"""

from services.domain.rows.batch import RowBatch, decode_rows, encode_rows, scatter
from services.domain.rows.canonical import Canonical, Refusal, canonicalise, group_texts
from services.domain.rows.headers import read_rows_header, write_rows_header
from services.domain.rows.identities import Form, Identities, Spans

__all__ = [
    "Canonical",
    "Form",
    "Identities",
    "Refusal",
    "RowBatch",
    "Spans",
    "canonicalise",
    "decode_rows",
    "encode_rows",
    "group_texts",
    "read_rows_header",
    "scatter",
    "write_rows_header",
]
