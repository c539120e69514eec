"""The range assignor, against Kafka's own description of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.adapters.memory.group import range_shares


@pytest.mark.parametrize(
    ("partitions", "members", "expected"),
    [
        (4, 1, [[0, 1, 2, 3]]),
        (4, 2, [[0, 1], [2, 3]]),
        (4, 3, [[0, 1], [2], [3]]),
        (2, 3, [[0], [1], []]),
        (0, 2, [[], []]),
        (3, 0, []),
    ],
)
def test_consecutive_runs_the_first_few_one_longer(partitions: int, members: int, expected: list[list[int]]) -> None:
    assert [list(share) for share in range_shares(partitions, members)] == expected


@given(st.integers(0, 100), st.integers(1, 20))
def test_every_partition_has_exactly_one_member(partitions: int, members: int) -> None:
    shares = range_shares(partitions, members)
    assert [partition for share in shares for partition in share] == list(range(partitions))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
