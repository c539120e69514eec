"""Random histories: what is restored from a copy taken anywhere goes on exactly as what kept running."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.records import Out
from tests.property.membership_histories import played
from tests.property.membership_operations import histories
from tests.unit.domain.membership.checkpoint.copies import Contents, Taken, load

pytestmark = pytest.mark.timeout(400)


def by_topic(outs: Sequence[Out]) -> dict[str, list[Out]]:
    found: dict[str, list[Out]] = {}
    for out in outs:
        found.setdefault(out.topic, []).append(out)
    return found


@settings(max_examples=100, deadline=None)
@given(histories, st.lists(st.integers(0, 1000), min_size=1, max_size=4))
def test_a_restored_partition_goes_on_as_the_one_that_kept_running(
    history: list[tuple[Any, ...]], cuts: list[int]
) -> None:
    world = played(history).world
    for partition, log in enumerate(world.log):
        running, outs = world.fold(partition), list[Out]()
        done = 0
        for cut in sorted(cut % (len(log) + 1) for cut in cuts):
            outs += running.handle(log[done:cut], 0)
            done = cut
            taken = Taken(running)
            before = taken.blobs()
            contents = Contents()
            saved = running.saved(contents)
            after = list(running.handle(log[done:], 0))  # folds on in the state that was copied …
            assert by_topic(outs + after) == by_topic(world.outs[partition])
            assert taken.blobs() == before, "… which does not change the copy"
            running = load(before, world.fold(partition))
            assert running.saved(contents) == saved, "nothing is lost on the way, and nothing is added"
        outs += running.handle(log[done:], 0)
        assert by_topic(outs) == by_topic(world.outs[partition])
