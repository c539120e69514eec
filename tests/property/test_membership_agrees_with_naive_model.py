"""Random histories: membership and the naive model agree after every step, and the same log gives the same bytes."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.records import Out
from services.domain.membership.audiences import composition
from tests.property.membership_histories import played
from tests.property.membership_operations import histories

# Shrinking a failure takes up to five minutes; without it the failure says little.
pytestmark = pytest.mark.timeout(400)


@settings(max_examples=100, deadline=None)
@given(histories)
def test_members_sizes_and_counts_agree_after_every_step(history: list[tuple[Any, ...]]) -> None:
    played(history)


def by_topic(outs: Sequence[Out]) -> dict[str, list[Out]]:
    found: dict[str, list[Out]] = {}
    for out in outs:
        found.setdefault(out.topic, []).append(out)
    return found


@settings(max_examples=25, deadline=None)
@given(histories, st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_the_same_log_gives_the_same_bytes_however_it_is_cut(history: list[tuple[Any, ...]], cuts: list[int]) -> None:
    world = played(history).world
    for partition, log in enumerate(world.log):
        again = world.fold(partition)
        outs: list[Out] = []
        start = turn = 0
        while start < len(log):
            end = start + cuts[turn % len(cuts)]
            outs += again.handle(log[start:end], 0)
            start, turn = end, turn + 1
        assert by_topic(outs) == by_topic(world.outs[partition])


@settings(max_examples=25, deadline=None)
@given(histories)
def test_whole_and_touched_evaluation_agree(history: list[tuple[Any, ...]]) -> None:
    world = played(history).world
    for share, few in ((0, 0), (1 << 40, 0), (0, 1 << 40)):  # always touched only; always whole; always one by one
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(composition, "_WHOLE_SHARE", share)
            patch.setattr(composition, "_FEW", few)
            for partition, log in enumerate(world.log):
                outs = list(world.fold(partition).handle(log, 0))
                assert by_topic(outs) == by_topic(world.outs[partition])
