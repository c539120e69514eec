"""What may happen in a random history of membership, as Hypothesis draws it; `Histories` plays it.

Imports of all modes, late, doubled, broken and interleaved readings, commands in between, ticks, definitions,
compositions, runs and activations. Numbers are indices into what exists when an operation is played.
"""

from hypothesis import strategies as st

from tests.unit.domain.membership.world import Mode

UNIVERSE = [
    *(f"u{number:06d}" for number in range(6)),
    *(f"00000000-0000-4000-8000-{number:012x}" for number in range(3)),
    "0f" * 16,
    "0f" * 32,
]
Order = tuple[Mode, int, int, tuple[int, str, str | None]]
somebody_one = st.sampled_from(UNIVERSE)
somebody = st.lists(somebody_one, max_size=5)
index = st.integers(0, 7)
forms = st.recursive(
    index,
    lambda parts: (
        st.lists(parts, min_size=1, max_size=3).map(lambda p: {"and": p})
        | st.lists(parts, min_size=1, max_size=3).map(lambda p: {"or": p})
        | parts.map(lambda p: {"not": p})
    ),
    max_leaves=4,
)
rows = st.lists(st.tuples(st.sampled_from(UNIVERSE), index), max_size=12)
orders = st.tuples(
    st.sampled_from(["append", "append", "replace", "replace", "remove"]),
    st.integers(1, 5),  # lookback
    st.integers(-4, 1),  # its day, from today
    st.tuples(  # among those of the day: event time, key, sequencer
        st.integers(0, 2), st.sampled_from(["k1", "k2"]), st.sampled_from([None, "0A", "0A00", "0a01", "FF"])
    ),
)
flavours = st.sampled_from(["whole", "whole", "whole", "doubled", "unsealed", "lost", "garbled", "miscounted"])
patches = st.sampled_from(["add", "add", "remove", "remove", "replace", "clear"])
markers = st.sampled_from(["started", "started", "paused", "resumed", "updated", "ended", "kept", "forgotten"])
often = [
    st.tuples(st.just("open"), orders),
    st.tuples(st.just("read"), index, rows, flavours),
    st.tuples(st.just("read"), index, rows, st.just("whole")),
    st.tuples(st.just("apply"), index),
    st.tuples(st.just("upload"), orders, rows, st.lists(st.tuples(patches, index, somebody), max_size=3)),
    st.tuples(st.just("patch"), patches, index, somebody),
    st.tuples(
        st.just("stream"), index, st.lists(st.tuples(somebody_one, st.sampled_from(["add", "remove"])), max_size=5)
    ),
    st.tuples(st.just("tick"), st.integers(0, 3)),
]
seldom = [
    st.tuples(st.just("define")),
    st.tuples(st.just("delete"), index),
    st.tuples(st.just("compose"), index, forms),
    st.tuples(st.just("abort"), index),
    st.tuples(st.just("weigh"), index),
    st.tuples(st.just("activation"), markers, index),
    st.tuples(st.just("reschedule"), index),
    st.tuples(st.just("reschedule"), index),
    st.tuples(st.just("run"), st.lists(index, min_size=1, max_size=3)),
    st.tuples(st.just("run"), st.just([*range(8)])),
]
histories = st.lists(st.one_of(*often, *often, *seldom), min_size=20, max_size=60)
