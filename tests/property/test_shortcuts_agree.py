"""Where few rows, or rows in order, take a shorter way, it leads where the long way leads."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.ids import canonical
from contracts.partitioning import member_partition
from services.domain.membership.imports.staging import by_audience
from services.domain.rows import canonicalise
from services.domain.rows.few import group_few

hexadecimal = st.sampled_from([31, 32, 40, 64]).flatmap(lambda n: st.text("0123456789abcdef", min_size=n, max_size=n))
uuids = st.uuids().map(str)
one = st.one_of(uuids, hexadecimal, uuids.map(str.upper), uuids.map(lambda text: text[:-1] + "g"), st.text())
canonical_texts = one.map(lambda text: canonical("", text)).filter(lambda text: text is not None)


@settings(max_examples=200, deadline=None)
@given(st.lists(canonical_texts, max_size=20))
def test_few_identifiers_have_the_forms_of_a_column(texts: list[str]) -> None:
    column = canonicalise("", pa.array(texts, type=pa.large_utf8()))
    assert column.rejected == []
    few = [(one.form, one.texts(), positions.tolist()) for one, positions in group_few(texts)]
    assert few == [(one.form, one.texts(), positions.tolist()) for one, positions in column.groups]


@given(st.lists(canonical_texts, min_size=1, max_size=20), st.integers(1, 100))
def test_few_and_many_identities_have_the_same_homes(texts: list[str], count: int) -> None:
    for identities, positions in group_few(texts):
        homes = [member_partition(texts[at], count) for at in positions.tolist()]
        assert identities.partitions(count).tolist() == homes
        many = identities.take(np.tile(np.arange(len(homes)), 16))
        assert many.partitions(count).tolist() == homes * 16


rows = st.lists(st.tuples(st.sampled_from([0, 1, 2, 70_000]), st.integers(0, 30)), max_size=30)


@given(rows, st.booleans(), st.booleans())
def test_rows_are_grouped_by_audience_whatever_their_order(
    named: list[tuple[int, int]], in_order: bool, of_one: bool
) -> None:
    if of_one:
        named = [(7, ordinal) for _, ordinal in named]
    if in_order:
        named.sort(key=lambda row: row[1])
    audience = np.array([index for index, _ in named], dtype=np.uint32)
    found = by_audience(audience, np.array([ordinal for _, ordinal in named], dtype=np.uint32))
    expected: dict[int, set[int]] = {}
    for index, ordinal in named:
        expected.setdefault(index, set()).add(ordinal)
    assert [(index, set(members)) for index, members in found] == sorted(expected.items())
