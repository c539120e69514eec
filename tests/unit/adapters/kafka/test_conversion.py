"""Packing against its laws, and sizes against what aiokafka really builds."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from contracts import codes
from contracts.records import Out, TopicPartition
from services.adapters.kafka.conversion import (
    BATCH_BYTES_MAX,
    WAVE_BYTES_MAX,
    Batch,
    alike,
    packed,
    size_bytes,
    waves,
)
from services.runtime.failures import Rejected

HEADERS = st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=300)), max_size=4).map(tuple)
OUTS = st.builds(
    Out,
    topic=st.sampled_from(["a", "b"]),
    key=st.none() | st.binary(max_size=200),
    value=st.none() | st.binary(max_size=2000),
    headers=HEADERS,
    partition=st.integers(0, 2),
)
LIMITS = {"a": 1 << 20, "b": 6_000}


def placed(out: Out) -> int:
    assert out.partition is not None
    return out.partition


@given(OUTS)
def test_a_record_takes_no_more_than_was_reckoned(out: Out) -> None:
    assert built([out]) <= size_bytes(out) <= built([out]) + 36 + 10 * len(out.headers)


@given(st.lists(OUTS, max_size=60))
def test_packing_keeps_all_in_order_and_every_batch_fits_its_topic(outs: list[Out]) -> None:
    batches = packed(outs, LIMITS, placed)
    for partition, found in batches.items():
        expected = [out for out in outs if TopicPartition(out.topic, placed(out)) == partition]
        assert [out for batch in found for out in batch.outs] == expected
        for batch in found:
            assert built(batch.outs) <= batch.bytes <= LIMITS[partition.topic]
    assert sum(len(batch.outs) for found in batches.values() for batch in found) == len(outs)


def test_batches_stay_below_the_usual_limit_but_one_record_may_be_larger() -> None:
    outs = [Out("a", None, b"x" * size, (), 0) for size in (500_000, 500_000, 3_000_000, 10, 10)]
    found = packed(outs, {"a": 4_000_000}, placed)[TopicPartition("a", 0)]
    assert [len(batch.outs) for batch in found] == [1, 1, 1, 2]
    assert [batch.bytes > BATCH_BYTES_MAX for batch in found] == [False, False, True, False]


def test_too_large_a_record_is_rejected_whatever_stands_before_it() -> None:
    with pytest.raises(Rejected, match="6000") as caught:
        packed([Out("b", None, b"", (), 0), Out("b", None, b"x" * 6_000, (), 0)], LIMITS, placed)
    assert caught.value.code is codes.MESSAGE_TOO_LARGE


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, WAVE_BYTES_MAX)), max_size=30))
def test_waves_send_each_batch_once_in_order_and_bound_the_request(sizes: list[tuple[int, int]]) -> None:
    batches: dict[TopicPartition, list[Batch]] = {}
    for partition, size in sizes:
        name = TopicPartition("a", partition)
        batches.setdefault(name, []).append(Batch(name, [], size))
    sent = list(waves(batches))
    for wave in sent:
        assert len({batch.partition for batch in wave}) == len(wave)
        assert len(wave) == 1 or sum(batch.bytes for batch in wave) <= WAVE_BYTES_MAX
    for name, expected in batches.items():
        assert [batch for wave in sent for batch in wave if batch.partition == name] == expected


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), max_size=8))
def test_batches_that_are_together_hold_the_same_records_and_none_is_lost(rows: list[list[bool]]) -> None:
    """Each row is a message, for those of three partitions that want it."""
    outs = []
    for number, wants in enumerate(rows):
        value, headers = bytes([number]), (("h", bytes([number])),)
        outs += [Out("a", b"k", value, headers, partition) for partition, wanted in enumerate(wants) if wanted]
    wave = next(waves(packed(outs, LIMITS, placed)), [])
    groups = alike(wave)
    assert sorted(one.partition for group in groups for one in group) == sorted(one.partition for one in wave)
    for group in groups:
        said = [[(out.key, out.value, out.headers) for out in one.outs] for one in group]
        assert all(one == said[0] for one in said)
    if rows and all(map(all, rows)):
        assert len(groups) == 1


def test_what_is_equal_by_chance_is_written_as_it_is() -> None:
    one, other = (Out("a", b"k", bytes([7] * 9), (("h", bytes([7] * 9)),), partition) for partition in (0, 1))
    assert not one.copies(other)
    assert not Out("a", one.key, one.value, one.headers, 0).copies(Out("b", one.key, one.value, one.headers, 1))
    assert Out("a", one.key, one.value, one.headers, 0).copies(Out("a", one.key, one.value, one.headers, 1))


def built(outs: list[Out]) -> int:
    """The size of these records as aiokafka builds them into one batch."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, -1, -1, 0, 1 << 30)
    for index, out in enumerate(outs):
        added = builder.append(index, 1_800_000_000_000, out.key, out.value, list(out.headers))
        assert added is not None
    return len(builder.build())
