"""Events of topic feeds, however intake cuts, repeats and overtakes itself: each counts once, in its source's order."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.domain.rows import Form
from tests.unit.domain.membership.wire import Event
from tests.unit.domain.membership.world import World

UNIVERSE = [
    *(f"u{number:06d}" for number in range(4)),
    *(f"00000000-0000-4000-8000-{number:012x}" for number in range(3)),
    "0f" * 16,
    "0f" * 32,
]
AUDIENCES = ["a", "b"]
SOURCES = 2

somebody = st.sampled_from(UNIVERSE)
audience = st.sampled_from(AUDIENCES)
sources = st.integers(0, SOURCES - 1)
op = st.sampled_from(["add", "add", "remove"])
length = st.integers(1, 8)
operations = st.one_of(
    # Events arrive, maybe with gaps between their offsets, as in a compacted or transactional topic.
    st.tuples(st.just("arrive"), sources, st.lists(st.tuples(st.integers(1, 3), somebody, audience, op), max_size=6)),
    # A run of some length is sent, and committed.
    st.tuples(st.just("run"), sources, length),
    # Intake dies when so many records of it are written.
    st.tuples(st.just("die"), sources, length, st.integers(0, 9)),
    # What an owner that was cut off sends late: a run from where the group once stood.
    st.tuples(st.just("late"), sources, st.integers(0, 30), length),
    st.tuples(st.just("patch"), st.sampled_from(["add", "remove", "replace", "clear"]), audience, st.lists(somebody)),
)


class Feed:
    """A topic with its events, intake's committed positions, and membership with the model beside it."""

    def __init__(self, partitions: int) -> None:
        self.world = World(partitions)
        for name in (*AUDIENCES, "x"):
            self.world.define(name)
        self.members: dict[str, set[str]] = {name: set() for name in AUDIENCES}
        self.topic: list[list[Event]] = [[] for _ in range(SOURCES)]
        self.committed = [0] * SOURCES
        self.taken: set[tuple[int, int]] = set()  # source and offset

    def arrive(self, source: int, events: list[tuple[int, str, str, str]]) -> None:
        for gap, *said in events:
            end = self.topic[source][-1][0] if self.topic[source] else -1
            self.topic[source].append((end + gap, *said))  # type: ignore[arg-type]  # three words

    def run(self, source: int, length: int) -> None:
        self.send(source, self.committed[source], length)
        self.committed[source] = min(self.committed[source] + length, len(self.topic[source]))

    def die(self, source: int, length: int, records: int) -> None:
        self.send(source, self.committed[source], length, records_max=records)

    def late(self, source: int, first: int, length: int) -> None:
        self.send(source, min(first, self.committed[source]), length)

    def send(self, source: int, first: int, length: int, *, records_max: int = 99) -> None:
        events = self.topic[source][first : first + length]
        written = self.world.stream(events, source=source, records_max=records_max) if events else set()
        for offset, identity, name, what in events:
            if offset in written and (source, offset) not in self.taken:
                self.taken.add((source, offset))
                (self.members[name].add if what == "add" else self.members[name].discard)(identity)

    def patch(self, operation: Any, name: str, identities: list[str]) -> None:
        named = set() if operation == "clear" else set(identities)
        match operation:
            case "add":
                self.members[name] |= named
            case "remove":
                self.members[name] -= named
            case _:
                self.members[name] = named
        self.world.patch(name, operation, sorted(named))


@settings(max_examples=200, deadline=None)
@given(st.lists(operations, max_size=40), st.integers(1, 3))
def test_members_agree_after_every_run(history: list[tuple[Any, ...]], partitions: int) -> None:
    feed = Feed(partitions)
    for name, *arguments in history:
        getattr(feed, name)(*arguments)
        assert {name: feed.world.members.get(name, set()) for name in AUDIENCES} == feed.members
        assert {name: feed.world.size(name) for name in AUDIENCES} == {
            name: len(members) for name, members in feed.members.items()
        }


def test_the_universe_has_every_form_that_matters() -> None:
    """A watermark stands for each of them."""
    feed = Feed(1)
    feed.arrive(0, [(1, identity, "a", "add") for identity in UNIVERSE])
    feed.run(0, len(UNIVERSE))
    (space,) = feed.world.folds[0]._spaces.values()
    assert {form for *_, form in space._streams._next} == {Form.TEXT, Form.UUID, Form.HEX16, Form.HEX32}
