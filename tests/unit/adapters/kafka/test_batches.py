"""Batches of large records are byte for byte aiokafka's, and no byte of a batch changes unnoticed."""

import google_crc32c
import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import Headers
from contracts.records import Out
from services.adapters.kafka.batches import WholeBatch, copied, intact, large

NOW_MS = 1_700_000_000_000

_texts = st.binary(max_size=300)
_outs = st.builds(
    Out,
    topic=st.just("t"),
    key=st.none() | _texts,
    value=st.none() | _texts,
    headers=st.lists(st.tuples(st.text(max_size=5), _texts), max_size=3).map(tuple),
)


@pytest.mark.parametrize(
    ("text", "checksum"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # this and the next three: RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_the_checksum_is_crc_32c(text: bytes, checksum: int) -> None:
    assert google_crc32c.value(text) == checksum
    assert google_crc32c.extend(google_crc32c.value(text[:7]), text[7:]) == checksum
    assert google_crc32c.implementation == "c"  # in Python it would take a thousand times as long


@given(outs=st.lists(_outs, min_size=1, max_size=70), transactional=st.booleans(), sequence=st.integers(0, 1 << 30))
def test_a_batch_is_that_of_aiokafka(outs: list[Out], transactional: bool, sequence: int) -> None:
    theirs = BatchBuilder(1 << 20, 0, is_transactional=transactional)
    for out in outs:
        assert theirs.append(timestamp=NOW_MS, key=out.key, value=out.value, headers=list(out.headers)) is not None
    ours = WholeBatch(large(outs), len(outs), NOW_MS, transactional=transactional)
    for one in (theirs, ours):
        one._set_producer_state(1 << 40, 7, sequence)
    assert ours._build() == theirs._build()
    assert ours._build() is ours._build()
    assert ours.record_count() == theirs.record_count()
    assert (ours.closed(), theirs.closed()) == (True, True)
    again = WholeBatch(copied(theirs._build()), len(outs), NOW_MS, transactional=transactional)
    again._set_producer_state(1 << 40, 8, sequence + 1)
    assert again._build() == _theirs(outs, transactional, 8, sequence + 1)


def _theirs(outs: list[Out], transactional: bool, epoch: int, sequence: int) -> bytes:
    theirs = BatchBuilder(1 << 20, 0, is_transactional=transactional)
    for out in outs:
        theirs.append(timestamp=NOW_MS, key=out.key, value=out.value, headers=list(out.headers))
    theirs._set_producer_state(1 << 40, epoch, sequence)
    return bytes(theirs._build())


@pytest.mark.parametrize("value", [b"", b"v" * 100, b"v" * 200_000], ids=["empty", "small", "in pieces"])
def test_a_changed_bit_is_seen(value: bytes) -> None:
    headers: Headers = (("name", b"content"),)
    batch = bytearray(WholeBatch(large([Out("t", b"k", value, headers)] * 2), 2, NOW_MS, transactional=True)._build())
    assert intact(memoryview(batch))
    for at in {17, 20, 21, 60, len(batch) // 2, len(batch) - 1}:
        batch[at] ^= 4
        assert not intact(memoryview(batch)), at
        batch[at] ^= 4
