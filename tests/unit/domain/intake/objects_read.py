"""Reads whole objects through `Reading` for the tests of this folder, and says what came out in plain values."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.messages.entities import Column, FixedAudience
from contracts.messages.intake import ObjectVersion, ReadRequest
from services.domain.intake.blocks import BLOCK_BYTES, ROW_BYTES_MAX
from services.domain.intake.inflate import Inflate
from services.domain.intake.reading import EncodedRows, Reading
from services.domain.rows import decode_rows

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

AUDIENCES = {"a": "aud_a", "b": "aud_b", "a,b c": "aud_c", "été": "aud_d"}
CSV_COLUMNS = [Column(name="id", role="identifier"), Column(name="segment", role="audience")]
PARTITIONS = 3


def zstd_compress(text: bytes, *, checksum: bool = False, window_log: int = 20) -> bytes:
    """One frame."""
    parameters = zstd.CompressionParameter
    options: dict[int, int] = {parameters.checksum_flag: checksum, parameters.window_log: window_log}
    packer = zstd.ZstdCompressor(options=options)
    return packer.compress(text) + packer.flush()


@dataclass
class Read:
    """`rows` are (identifier, audience id), sorted; `rejected` (row number, code) in the file's order."""

    rows: list[tuple[str, str]]
    rejected: list[tuple[int, str]]
    reading: Reading


def request(
    *,
    format: str = "caret",
    id_type: str = "kuid",
    columns: list[Column] | None = None,
    audience_from: str | FixedAudience = "column",
    prefix: str = "in/",
    key: str = "in/2026-01-01/file",
) -> ReadRequest:
    return ReadRequest(
        space_id="acme",
        import_id="imp_1",
        attempt=1,
        object=ObjectVersion(bucket="bucket", key=key),
        feed_id="feed_1",
        prefix=prefix,
        mode="append",
        id_type=id_type,
        format=format,
        columns=columns if columns is not None or format != "csv" else CSV_COLUMNS,
        audience_from=audience_from,
        open_step=1,
    )


def read_object(
    chunks: bytes | Iterable[bytes],
    asked: ReadRequest | None = None,
    *,
    inflate: Inflate | None = None,
    block_bytes: int = BLOCK_BYTES,
    row_bytes_max: int = ROW_BYTES_MAX,
    audiences: dict[str, str] = AUDIENCES,
) -> Read:
    """The whole object; raises `ObjectRefused` as `Reading` does."""
    reading = Reading(
        asked or request(),
        audiences.get,
        PARTITIONS,
        inflate=inflate,
        block_bytes=block_bytes,
        row_bytes_max=row_bytes_max,
    )
    records = [
        record for chunk in ([chunks] if isinstance(chunks, bytes) else chunks) for record in _flat(reading.feed(chunk))
    ]
    records += _flat(reading.finish())
    rows = []
    for record in records:
        batch = decode_rows(record.value)
        assert len(batch) == record.rows
        rows += list(zip(batch.identities.texts(), (batch.audiences[i] for i in batch.audience), strict=True))
    for partition in range(PARTITIONS):
        mine = [record for record in records if record.partition == partition]
        assert [record.sequence for record in mine] == list(range(reading.batches[partition]))
        assert sum(record.rows for record in mine) == reading.rows[partition]
    counts = reading.counts
    assert counts.rows == counts.valid + counts.rejected
    assert counts.valid == len(rows)
    rejected = [json.loads(line) for line in reading.rejects.body().splitlines()]
    assert all(set(line) == {"row", "code"} for line in rejected)
    return Read(sorted(rows), [(line["row"], line["code"]) for line in rejected], reading)


def _flat(lists: Iterable[Sequence[EncodedRows]]) -> list[EncodedRows]:
    return [record for records in lists for record in records]
