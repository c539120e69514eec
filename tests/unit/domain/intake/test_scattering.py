"""Records stay under the limit and are worth their price; nothing is lost on the way, and little is kept."""

from collections.abc import Callable

import numpy as np
import pytest

from contracts.partitioning import member_partition
from services.domain.intake.scattering import WIRE_BYTES_MAX, Scattering
from services.domain.rows import RowBatch, encode_rows, group_texts
from tests.unit.domain.intake.objects_read import PARTITIONS, read_object

MANY = {f"segment {i}": f"aud_{i:060}" for i in range(20_000)}
ROWS = 150_000


def uuid(i: int) -> str:
    return f"{i:08x}-0000-4000-8000-{i:012x}"


def sha256(i: int) -> str:
    return f"{i:064x}"


def text(i: int) -> str:
    return f"user {i}." + "x" * (i % 100)


def batch_of(texts: list[str], names: list[str]) -> RowBatch:
    ((identities, positions),) = group_texts(texts)
    return RowBatch(identities, (positions % len(names)).astype(np.uint32), names)


@pytest.mark.parametrize("of", [uuid, sha256, text])
@pytest.mark.parametrize(("audiences", "at_once"), [(1, ROWS), (300, 7_000), (20_000, 7_000)])
def test_records_are_full_and_never_too_large(of: Callable[[int], str], audiences: int, at_once: int) -> None:
    texts = [of(i) for i in range(ROWS)]
    names = list(MANY.values())[:audiences]
    whole = batch_of(texts, names)
    scattering = Scattering(PARTITIONS)
    taken = [one for at in range(0, ROWS, at_once) for one in scattering.add(whole.part(at, min(at + at_once, ROWS)))]
    last = list(scattering.finish())
    assert list(scattering.finish()) == []
    found = []
    for partition, piece in [*taken, *last]:
        assert len(encode_rows(piece)) <= WIRE_BYTES_MAX
        assert set(np.unique(piece.audience)) == set(range(len(piece.audiences)))  # lists no other
        values = piece.identities.texts()
        assert {member_partition(value, PARTITIONS) for value in values} == {partition}
        found += list(zip(values, (piece.audiences[i] for i in piece.audience), strict=True))
    assert sorted(found) == sorted((one, names[i % audiences]) for i, one in enumerate(texts))
    if audiences <= 300:  # the ids of more do not fit beside a whole record's rows
        assert min(len(encode_rows(piece)) for _, piece in taken) > 0.9 * WIRE_BYTES_MAX


def test_rows_keep_their_order_within_a_partition() -> None:
    texts = [text(i) for i in range(5_000)]
    scattering = Scattering(PARTITIONS, wire_bytes_max=10_000)
    taken = [*scattering.add(batch_of(texts, ["a"])), *scattering.finish()]
    for partition in range(PARTITIONS):
        mine = [value for home, piece in taken if home == partition for value in piece.identities.texts()]
        assert mine == [value for value in texts if member_partition(value, PARTITIONS) == partition]


def test_much_is_never_kept() -> None:
    """However many partitions and forms share the rows: then the records are smaller."""
    partitions, kept_bytes_max = 64, 100_000
    scattering = Scattering(partitions, kept_bytes_max=kept_bytes_max)
    given = got = 0
    names = ["a"]
    for at in range(0, 60_000, 1_000):
        for of in (uuid, sha256):
            batch = batch_of([of(i) for i in range(at, at + 1_000)], names)
            given += len(batch.identities.fixed) * (batch.identities.form.width_bytes + 4)
            for _, piece in scattering.add(batch):
                got += len(piece) * (piece.identities.form.width_bytes + 4)
            assert given - got <= kept_bytes_max
    for _, piece in scattering.finish():
        got += len(piece) * (piece.identities.form.width_bytes + 4)
    assert got == given


def test_an_identifier_and_an_audience_that_fill_a_record_by_themselves() -> None:
    scattering = Scattering(1, wire_bytes_max=100)
    taken = [*scattering.add(batch_of(["x" * 200, "y" * 200], ["a" * 50])), *scattering.finish()]
    assert [piece.identities.texts() for _, piece in taken] == [["x" * 200], ["y" * 200]]


def test_many_audiences_in_one_object() -> None:
    body = "".join(f"u{i}^segment {i % 20_000}\n" for i in range(50_000)).encode()
    found = read_object(body, audiences=MANY)
    assert found.rows == sorted((f"u{i}", MANY[f"segment {i % 20_000}"]) for i in range(50_000))
    assert found.reading.audiences == sorted(MANY.values())
