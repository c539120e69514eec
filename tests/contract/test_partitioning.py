"""The published partition function: its test vectors, its words read once more, and Kafka's own partitioner."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xxhash
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from contracts.documents import FOLDER
from contracts.partitioning import default_partition, key_partition, member_key, member_partition, space_partition

VECTORS: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / "examples" / "partitioning.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["members"], ids=lambda vector: vector["what"])
def test_member_vector(vector: dict[str, Any]) -> None:
    assert member_key(vector["value"]).hex() == vector["key"]
    homes = {count: member_partition(vector["value"], int(count)) for count in ("4", "16", "64")}
    assert homes == vector["partition_of"]


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda vector: vector["key"])
def test_key_vector(vector: dict[str, Any]) -> None:
    homes = {count: space_partition(vector["key"], int(count)) for count in ("4", "16", "64")}
    assert homes == vector["partition_of"]


@given(st.text(min_size=1, max_size=40).filter(lambda text: len(text) not in (32, 36, 40)))
def test_text_is_the_digest_of_its_bytes(text: str) -> None:
    assert member_key(text) == xxhash.xxh3_128(text.encode()).digest()


@given(st.uuids())
def test_a_uuid_is_its_own_bytes(uuid: Any) -> None:
    assert member_key(str(uuid)) == uuid.bytes


@given(st.binary(min_size=16, max_size=16), st.integers(1, 1024))
def test_the_mix_by_another_hand(key: bytes, partitions: int) -> None:
    with np.errstate(over="ignore"):
        low, high = np.frombuffer(key, dtype="<u8")
        mixed = (low ^ (high * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xFF51AFD7ED558CCD)
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    assert key_partition(key, partitions) == int(mixed >> np.uint64(32)) * partitions >> 32


@given(st.binary(max_size=70), st.sampled_from([1, 4, 16, 64]))
def test_keys_go_where_kafka_clients_send_them(key: bytes, partitions: int) -> None:
    assert default_partition(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


def _sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@pytest.mark.parametrize("form", ["u{:06d}".format, _sha256, "00000000-0000-0000-0000-{:012d}".format])
def test_members_are_spread_evenly(form: Callable[[int], str]) -> None:
    counts = Counter(member_partition(form(number), 16) for number in range(16_000))
    assert set(counts) == set(range(16))
    assert min(counts.values()) > 800  # of 1,000; the deviation is 31 where every place is as likely
    assert max(counts.values()) < 1200
