"""Blobs and manifest: what is not exactly what was written is refused; slots of another layout are made anew."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.records import Record
from services.domain.membership.checkpoint import take
from services.domain.membership.checkpoint.manifest import (
    FOLD_RULES,
    FORMAT,
    Anchor,
    Blob,
    Manifest,
    NewerFormat,
    anchor_of,
    checksum_of,
    decode_manifest,
    encode_manifest,
)
from services.domain.membership.checkpoint.packing import Damaged
from services.domain.membership.identities import forms
from services.domain.membership.identities.arenas import hash_identities
from services.domain.membership.identities.loops import Hashes
from services.domain.rows import Identities
from tests.unit.domain.membership.checkpoint.copies import Blobs, Contents, Taken, load
from tests.unit.domain.membership.checkpoint.histories import IDENTITIES, eventful

MANIFEST = Manifest(
    format=FORMAT,
    fold_rules=FOLD_RULES,
    topic="input",
    partition=1,
    partitions=2,
    offset=77,
    anchor=Anchor(76, "ab"),
    taken_at_ms=5,
    blobs=[Blob("index.json", 3, "cd")],
)


def test_a_manifest_comes_back_with_its_checksum() -> None:
    assert decode_manifest(encode_manifest(MANIFEST)) == MANIFEST


@given(st.data())
def test_a_manifest_with_another_byte_is_damaged(data: st.DataObject) -> None:
    body = bytearray(encode_manifest(MANIFEST))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Damaged):
        decode_manifest(bytes(body))


@pytest.mark.parametrize("cut", [0, 1, 50, -1])
def test_a_truncated_manifest_is_damaged(cut: int) -> None:
    with pytest.raises(Damaged):
        decode_manifest(encode_manifest(MANIFEST)[:cut])


def test_a_newer_format_is_told_before_anything_else_of_it_is_looked_at() -> None:
    manifest = '{"format": 2, "everything": "else"}'
    with pytest.raises(NewerFormat) as caught:
        decode_manifest(f'{{"checksum": "{checksum_of(manifest.encode())}", "manifest": {manifest}}}'.encode())
    assert caught.value.format == 2


def record(**changes: object) -> Record:
    fields: dict[str, object] = {
        "topic": "t", "partition": 0, "offset": 5, "timestamp_ms": 0, "key": b"k", "value": b"v", "headers": (("a", b"b"),)
    }  # fmt: skip
    return Record(**(fields | changes))  # type: ignore[arg-type]  # one of them at a time


def test_an_anchor_tells_records_apart() -> None:
    others = [
        record(offset=6), record(key=None), record(key=b""), record(value=None), record(value=b"w"), record(headers=()),
        record(headers=(("a", b"c"),)), record(key=b"kv", value=b""), record(headers=(("a", b"b"), ("a", b"b"))),
    ]  # fmt: skip
    anchors = [anchor_of(one) for one in (record(), *others)]
    assert len(set(anchors)) == len(anchors)
    assert anchor_of(record(timestamp_ms=9, topic="other")) == anchors[0]


@pytest.fixture
def small_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take, "BLOB_BYTES", 1000)


def blobs_of_everything() -> Blobs:
    return Taken(eventful(partitions=1).folds[0]).blobs()


@pytest.mark.usefixtures("small_blobs")
def test_a_run_is_cut_into_blobs_of_one_size() -> None:
    (index, *whole, last), bodies = (blobs := blobs_of_everything()), [body for _, body in blobs]
    assert index[0].name == "index.json"
    assert [blob.name for blob, _ in (*whole, last)] == [f"data-{number:05d}" for number in range(len(whole) + 1)]
    assert {blob.size_bytes for blob, _ in whole} == {1000}
    assert 0 < last[0].size_bytes <= 1000
    assert [checksum_of(body) for body in bodies] == [blob.checksum for blob, _ in blobs]
    contents, world = Contents(), eventful(partitions=1)
    assert load(blobs, world.fold(0)).saved(contents) == world.folds[0].saved(contents)


def flipped(blobs: Blobs, at: int) -> Blobs:
    blob, body = blobs[at]
    return [*blobs[:at], (blob, body[:50] + bytes([body[50] ^ 1]) + body[51:]), *blobs[at + 1 :]]


WRONG: dict[str, Callable[[Blobs], Blobs]] = {
    "a bit of the index": lambda blobs: flipped(blobs, 0),
    "a bit of a blob": lambda blobs: flipped(blobs, 2),
    "a blob is truncated": lambda blobs: [*blobs[:-1], (blobs[-1][0], blobs[-1][1][:-1])],
    "a blob is missing": lambda blobs: blobs[:-1],
    "a blob too many": lambda blobs: [*blobs, blobs[-1]],
    "two blobs changed places": lambda blobs: [blobs[0], (blobs[1][0], blobs[2][1]), (blobs[2][0], blobs[1][1])],
    "the index of nothing": lambda blobs: [(Blob("index.json", 2, checksum_of(b"{}")), b"{}"), *blobs[1:]],
}


@pytest.mark.usefixtures("small_blobs")
@pytest.mark.parametrize("what", WRONG)
def test_other_blobs_than_were_written_are_refused(what: str) -> None:
    with pytest.raises(Damaged):
        load(WRONG[what](blobs_of_everything()), eventful(partitions=1).fold(0))


def test_slots_that_another_hash_laid_out_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version may mix otherwise: the checkpoints of the earlier one stay good."""
    blobs = blobs_of_everything()

    def other(identities: Identities) -> Hashes:
        return hash_identities(identities) ^ np.uint64(0x5DEECE66D5DEECE6)

    monkeypatch.setattr(forms, "hash_identities", other)
    world = eventful(partitions=1)
    restored = load(blobs, world.fold(0))
    done = len(world.outs[0])
    world.patch("a", "remove", ["u0001", "u0030", "jörg@example.org", *IDENTITIES[32:50:3]])
    assert len(world.outs[0]) > done
    assert list(restored.handle(world.log[0][-1:], 0)) == world.outs[0][done:]
