"""Identity tables: one ordinal for each identity, exactly, whatever the hashes, the batches and the forms."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.domain.membership.identities import forms
from services.domain.membership.identities.arenas import hash_identities
from services.domain.membership.identities.table import IdentityTable
from services.domain.rows import Form, Identities, group_texts

UUIDS = [f"00000000-0000-4000-8000-{i:012x}" for i in range(4)]
HEXES = [digit * width for width in (32, 40, 64) for digit in "0af"]
TEXTS = ["a", "b", "ab", "ba", "ü", "x" * 256, *(f"u{i:06d}" for i in range(30))]
pools = st.lists(st.lists(st.sampled_from(UUIDS + HEXES + TEXTS), max_size=20), max_size=12)


def intern_all(table: IdentityTable, texts: list[str]) -> list[int]:
    found = [0] * len(texts)
    for identities, positions in group_texts(texts):
        for position, ordinal in zip(positions.tolist(), table.intern(identities).tolist(), strict=True):
            found[position] = ordinal
    return found


def spelled(table: IdentityTable, ordinals: list[int]) -> list[str]:
    """What the table spells, byte for byte as the encoder of every other message would."""
    said = b"[" + table.spelled(np.array(ordinals, dtype=np.uint32)) + b"]" if ordinals else b"[]"
    texts = msgspec.json.decode(said, type=list[str])
    assert said == msgspec.json.encode(texts)
    return texts


def check(batches: list[list[str]]) -> None:
    table = IdentityTable()
    known: dict[str, int] = {}
    for batch in batches:
        for text, ordinal in zip(batch, intern_all(table, batch), strict=True):
            assert known.setdefault(text, ordinal) == ordinal
    assert len(set(known.values())) == len(known) == len(table)
    ordered = sorted(known.items(), key=lambda pair: pair[1])
    assert spelled(table, [ordinal for _, ordinal in ordered]) == [text for text, _ in ordered]


@settings(deadline=None)
@given(pools)
def test_one_ordinal_for_each_identity(batches: list[list[str]]) -> None:
    check(batches)


@settings(deadline=None)
@given(pools)
def test_even_if_all_hashes_collide(batches: list[list[str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            forms,
            "hash_identities",
            lambda identities: np.full(len(identities), 0xFFFF_FFFF_FFFF_FFFF, dtype=np.uint64),
        )
        check(batches)


@pytest.mark.parametrize("form", [Form.UUID, Form.HEX16, Form.HEX20, Form.HEX32])
def test_ordinals_follow_the_first_naming(form: Form) -> None:
    """Dense, in the order in which a batch first names them, also when the table has to grow in between."""
    random = np.random.default_rng(1)
    values = np.unique(random.integers(0, 256, (20_000, form.width_bytes), dtype=np.uint8), axis=0)
    random.shuffle(values)
    twice = np.repeat(values, 2, axis=0)
    table = IdentityTable()
    ordinals = [table.intern(Identities.of_bytes(form, part)) for part in np.array_split(twice, 7)]
    base = list(Form).index(form) << 29
    assert (np.concatenate(ordinals) == np.repeat(np.arange(len(values)), 2) + base).all()


def test_text_grows_too() -> None:
    texts = [f"{'é' * (i % 5)}user-{i}" for i in range(10_000)]
    table = IdentityTable()
    first = intern_all(table, texts)
    assert intern_all(table, texts[::-1]) == first[::-1]
    assert spelled(table, sorted(first)) == [text for _, text in sorted(zip(first, texts, strict=True))]


@pytest.mark.parametrize("form", Form)
def test_a_file_that_comes_again_in_any_order(form: Form) -> None:
    """The position after the one before is a guess: it has to hold, and it is only a guess."""
    numbers = np.arange(3_000, dtype=np.uint64)
    values = np.tile(numbers[:, None], (1, 4)).view(np.uint8)[:, : form.width_bytes or 16]
    identities = Identities.of_bytes(form, values) if form is not Form.TEXT else as_text(values)
    table = IdentityTable()
    table.intern(identities.take(np.arange(2_000)))
    base = np.uint32(list(Form).index(form) << 29)
    random = np.random.default_rng(5)
    for order in (
        numbers[:2_000],
        numbers[1_999::-1],
        numbers[:2_000:3],
        np.repeat(numbers[:2_000], 2),
        np.roll(numbers[:2_000], 7),
        random.permutation(numbers[:2_000]),
        np.concatenate([numbers[1_990:2_010], numbers[1_995:2_020], numbers[:5]]),  # known, new, known
    ):
        assert (table.intern(identities.take(order.astype(np.int64))) == order + base).all()


def as_text(values: np.ndarray[Any, np.dtype[np.uint8]]) -> Identities:
    return Identities.of_text(pa.array([row.tobytes() for row in values], type=pa.large_binary()))


def test_slots_do_not_follow_the_partition() -> None:
    """Keys of one partition of 16 still spread over a table's slots as chance would have it."""
    values = np.random.default_rng(2).integers(0, 256, (160_000, 16), dtype=np.uint8)
    identities = Identities.of_bytes(Form.UUID, values)
    home = identities.take(np.flatnonzero(identities.partitions(16) == 3))
    slots = hash_identities(home) >> np.uint64(56)
    share = np.bincount(slots.astype(np.int64), minlength=256) / len(home)
    assert share.max() < 2 / 256


@settings(max_examples=50)
@given(pools)
def test_what_is_known_is_found_and_looking_makes_nothing_known(batches: list[list[str]]) -> None:
    table = IdentityTable()
    known = {text: ordinal for batch in batches for text, ordinal in zip(batch, intern_all(table, batch), strict=True)}
    count = len(table)
    for text in UUIDS + HEXES + TEXTS:
        ((identity, _),) = group_texts([text])
        assert table.find(identity) == known.get(text)
    assert len(table) == count
