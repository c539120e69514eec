"""The wire form of row batches: exact both ways, and malformed bytes are ValueErrors."""

import numpy as np
import pyarrow as pa
import pytest

from contracts.partitioning import member_partition
from services.domain.rows import Form, Identities, RowBatch, decode_rows, encode_rows, group_texts, scatter

UUID = "0123abcd-0000-4000-8000-00000000000f"
HEX = {16: "0f" * 16, 20: "0f" * 20, 32: "0f" * 32}


def rows(batch: RowBatch) -> list[tuple[str, str]]:
    return [(text, batch.audiences[at]) for text, at in zip(batch.identities.texts(), batch.audience, strict=True)]


def batch_of(texts: list[str], audiences: list[str]) -> RowBatch:
    ((identities, positions),) = group_texts(texts)
    assert positions.tolist() == list(range(len(texts)))
    index = np.arange(len(texts), dtype=np.uint32) % len(audiences)
    return RowBatch(identities, index.astype(np.uint32), audiences)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (UUID, Form.UUID),
        (HEX[16], Form.HEX16),
        (HEX[20], Form.HEX20),
        (HEX[32], Form.HEX32),
        (HEX[16].upper(), Form.TEXT),
        (HEX[16][:-1], Form.TEXT),
        ("u000001", Form.TEXT),
        ("grün ✓", Form.TEXT),
        ("x" * 256, Form.TEXT),
    ],
)
def test_form_follows_from_the_value_and_loses_nothing(value: str, form: Form) -> None:
    ((identities, _),) = group_texts([value])
    assert identities.form is form
    assert identities.texts() == [value]


@pytest.mark.parametrize("texts", [[UUID, UUID[:-1] + "0"], [HEX[16]], [HEX[20]], [HEX[32]], ["a", "ü", "a"]])
def test_wire_form_is_exact(texts: list[str]) -> None:
    batch = batch_of(texts, ["aud_1", "aud_2"])
    again = decode_rows(encode_rows(batch))
    assert again.identities.form is batch.identities.form
    assert rows(again) == rows(batch)


@pytest.mark.parametrize("form", list(Form))
def test_an_empty_batch_travels(form: Form) -> None:
    batch = RowBatch(Identities.empty(form), np.empty(0, np.uint32), [])
    assert len(decode_rows(encode_rows(batch))) == 0


def test_scatter_sends_each_row_home_in_order() -> None:
    texts = [f"u{i:06d}" for i in range(500)]
    batch = batch_of(texts, ["a", "b", "c"])
    parts = scatter(batch, 4)
    assert len(parts) == 4
    for partition, part in enumerate(parts):
        assert part is not None
        assert rows(part) == [row for row in rows(batch) if member_partition(row[0], 4) == partition]
    lonely = scatter(batch_of(["u000001"], ["a"]), 4)
    assert [part is not None for part in lonely] == [member_partition("u000001", 4) == p for p in range(4)]


def stream(columns: dict[str, pa.Array], metadata: dict[str, str]) -> bytes:
    table = pa.table(columns).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


GOOD_TEXT = {"identity": pa.array([b"a"], pa.large_binary()), "audience": pa.array([0], pa.uint32())}
ABOUT = {"form": "text", "audiences": '["aud_1"]'}


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"not arrow",
        encode_rows(batch_of([UUID], ["a"]))[:-40],
        stream(GOOD_TEXT, {}),
        stream(GOOD_TEXT, {**ABOUT, "form": "other"}),
        stream(GOOD_TEXT, {**ABOUT, "form": "uuid"}),
        stream(GOOD_TEXT, {**ABOUT, "audiences": "{}"}),
        stream(GOOD_TEXT, {**ABOUT, "audiences": "[1]"}),
        stream(GOOD_TEXT, {**ABOUT, "audiences": "[]"}),
        stream(GOOD_TEXT, {**ABOUT, "audiences": "[" * 100_000}),
        stream({**GOOD_TEXT, "identity": pa.array([None], pa.large_binary())}, ABOUT),
        stream({**GOOD_TEXT, "identity": pa.array([b"\xff"], pa.large_binary())}, ABOUT),
        stream({**GOOD_TEXT, "audience": pa.array([None], pa.uint32())}, ABOUT),
        stream({**GOOD_TEXT, "audience": pa.array([0], pa.int64())}, ABOUT),
        stream({"identity": GOOD_TEXT["identity"]}, ABOUT),
    ],
)
def test_malformed_bytes_are_value_errors(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_rows(wire)


def test_flipped_bytes_never_crash() -> None:
    wire = encode_rows(batch_of(["alpha", "beta"], ["aud_1"]))
    for position in range(len(wire)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(wire)
            damaged[position] ^= flip
            try:
                decode_rows(bytes(damaged)).identities.texts()
            except ValueError:
                continue
