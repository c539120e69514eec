"""What commands did since an import was opened: the same however much of it was joined, and never much to keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from services.domain.membership.checkpoint.shape import Packed
from services.domain.membership.imports import overlay

members = st.sets(st.integers(0, 5), min_size=1, max_size=4)
# An import is opened, one of those open is closed, or a command comes; a removal feed counts at the opening of one.
events = st.lists(
    st.one_of(
        st.just(("open", 0, set[int]())),
        st.tuples(st.just("close"), st.integers(0, 9), st.just(set[int]())),
        *[st.tuples(st.sampled_from(["add", "remove"]), st.just(0), members)] * 6,
        st.tuples(st.just("removal feed"), st.integers(0, 9), members),
    ),
    min_size=30,
    max_size=60,
)
PER_IMPORT, ROOM = 2, 16


class _Counting:
    """Takes the place of a checkpoint's packing."""

    def bitmap(self, members: BitMap) -> Packed:
        return len(members)


@given(events)
def test_what_was_done_since_is_the_same_however_it_is_kept(history: list[tuple[str, int, set[int]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlay, "_ROOM", 0)  # joined at every turn
        _tell(history)


def _tell(history: list[tuple[str, int, set[int]]]) -> None:
    kept, opened = overlay.Overlay(), list[int]()
    told: list[tuple[int, bool, set[int]]] = []  # in the order in which they count
    for step, (kind, at, named) in enumerate(history, start=1):
        if kind == "open":
            opened.append(step)
        elif kind == "close" and opened:
            opened.pop(at % len(opened))
        elif named and opened:
            place = opened[at % len(opened)] if kind == "removal feed" else step
            kept.record(place, "a", adds=kind == "add", members=BitMap(named), opened=opened)
            told = sorted([*told, (place, kind == "add", named)], key=lambda patch: patch[0])
        for one in opened:
            removed, added = set[int](), set[int]()
            for place, adds, whom in told:
                if place > one:
                    added = added | whom if adds else added - whom
                    removed = removed if adds else removed | whom
            since = kept.since(one, "a")
            assert (set(since.removed), set(since.added)) == (removed, added)


def test_an_import_that_is_held_for_days_costs_a_removal_and_an_addition() -> None:
    kept = overlay.Overlay()
    for number in range(10_000):
        kept.record(number + 2, "a", adds=number % 3 > 0, members=BitMap([number % 100]), opened=[1])

    saved = kept.saved(_Counting())  # type: ignore[arg-type]  # as much of a packing as is needed here
    assert len(saved.patches["a"]) <= PER_IMPORT * 2 + ROOM
