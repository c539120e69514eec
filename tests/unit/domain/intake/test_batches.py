"""Records stay under the limit, rejects under theirs; nothing is lost on the way."""

import numpy as np
import pytest

from contracts import codes
from contracts.partitioning import member_partition
from services.domain.intake.batches import WIRE_BYTES_MAX, scattered
from services.domain.intake.refused import RefusedRows
from services.domain.intake.rejects import Rejects
from services.domain.rows import RowBatch, encode_rows, group_texts
from tests.unit.domain.intake.objects_read import PARTITIONS, read_object

MANY = {f"segment {i}": f"aud_{i:060}" for i in range(20_000)}


@pytest.mark.parametrize("of", [lambda i: f"{i:08x}-0000-4000-8000-{i:012x}", lambda i: f"user {i} " + "x" * 200])
@pytest.mark.parametrize("audiences", [1, 20_000])
def test_records_stay_small(of: object, audiences: int) -> None:
    assert callable(of)
    texts = [of(i) for i in range(20_000)]
    ((identities, positions),) = group_texts(texts)
    names = list(MANY.values())
    batch = RowBatch(identities, (positions % audiences).astype(np.uint32), names)
    found = []
    for partition, piece in scattered(batch, PARTITIONS):
        assert len(encode_rows(piece)) <= WIRE_BYTES_MAX
        assert set(np.unique(piece.audience)) == set(range(len(piece.audiences)))  # lists no other
        values = piece.identities.texts()
        assert all(member_partition(value, PARTITIONS) == partition for value in values)
        found += list(zip(values, (piece.audiences[i] for i in piece.audience), strict=True))
    assert sorted(found) == sorted((text, names[i % audiences]) for i, text in enumerate(texts))


def test_many_audiences_in_one_object() -> None:
    text = "".join(f"u{i}^segment {i % 20_000}\n" for i in range(50_000)).encode()
    found = read_object(text, audiences=MANY)
    assert found.rows == sorted((f"u{i}", MANY[f"segment {i % 20_000}"]) for i in range(50_000))
    assert found.reading.audiences == sorted(MANY.values())


def test_rejects_are_bounded_and_counted() -> None:
    rejects = Rejects(kept_max=4)
    assert (rejects.body(), rejects.count) == (b"", 0)
    rejects.add([RefusedRows(codes.ROW_COLUMNS, np.array([5, 9])), RefusedRows(codes.ROW_ENCODING, np.array([7]))])
    rejects.add([])
    rejects.add([RefusedRows(codes.ROW_COLUMNS, np.array([12, 13])), RefusedRows(codes.ROW_ENCODING, np.array([11]))])
    rejects.add([RefusedRows(codes.ROW_TOO_LONG, np.array([20]))])
    kept = [(5, "row-columns"), (7, "row-encoding"), (9, "row-columns"), (11, "row-encoding")]
    assert rejects.body() == "".join(f'{{"row":{row},"code":"{code}"}}\n' for row, code in kept).encode()
    assert rejects.by_code == {"row-columns": 4, "row-encoding": 2, "row-too-long": 1}
    assert rejects.count == 7
