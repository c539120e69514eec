"""Events of topic feeds: each takes effect once, in the order of its source, however often and in what runs it comes."""

from itertools import pairwise

import pytest

from contracts.catalog import CHANGES, SIZES
from contracts.codec import header
from contracts.records import Record
from services.domain.membership.broken_log import BrokenLog
from tests.unit.domain.membership.wire import SPACE, Event, event_records
from tests.unit.domain.membership.world import World, day_ms, ids, rows

U1, U2, U3 = ids(1, 3)
UUID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def world() -> World:
    made = World(partitions=2)
    made.define("a")
    made.define("b")
    return made


def change_ids(world: World) -> list[list[str]]:
    """Of each partition, in order."""
    return [[header(out.headers, "ce_id") or "" for out in outs if out.topic == CHANGES] for outs in world.outs]


def test_adds_and_removes_in_the_order_of_the_source(world: World) -> None:
    world.stream([(0, U1, "a", "add"), (1, U2, "a", "add"), (2, U1, "b", "add"), (3, UUID, "b", "add")])
    assert world.members == {"a": {U1, U2}, "b": {U1, UUID}}
    world.stream([(4, U1, "a", "remove"), (5, U1, "a", "add"), (6, U2, "a", "remove"), (7, UUID, "b", "remove")])
    assert world.members == {"a": {U1}, "b": {U1}}
    assert (world.size("a"), world.size("b")) == (1, 1)


def test_in_and_out_within_a_run_is_no_change(world: World) -> None:
    world.stream([(0, U1, "a", "add"), (1, U1, "a", "remove"), (2, U1, "a", "remove")])
    assert world.changes == []
    world.stream([(3, U1, "a", "add")])
    world.forget_changes()
    world.stream([(4, U1, "a", "remove"), (5, U1, "a", "add")])
    assert world.changes == []


RUNS: list[list[list[Event]]] = [
    [[(0, U1, "a", "add")], [(0, U1, "a", "add")]],
    [[(0, U1, "a", "add"), (1, U1, "a", "remove")], [(0, U1, "a", "add")], [(0, U1, "a", "add"), (1, U1, "a", "remove")]],
    [[(0, U1, "a", "add"), (5, U1, "a", "remove")], [(0, U1, "a", "add"), (5, U1, "a", "remove"), (6, U2, "b", "add")]],
    [[(5, U1, "a", "remove")], [(0, U1, "a", "add"), (5, U1, "a", "remove")]],
]  # fmt: skip


@pytest.mark.parametrize("runs", RUNS)
def test_what_was_taken_is_not_taken_again(world: World, runs: list[list[Event]]) -> None:
    for run in runs:
        world.stream(run)
    assert U1 not in world.members.get("a", set()) or len(runs[0]) == 1
    assert world.members.get("b", set()) == ({U2} if len(runs[-1]) == 3 else set())


def test_each_form_source_partition_topic_and_feed_has_a_watermark_of_its_own(world: World) -> None:
    world.stream([(9, U1, "a", "add")])
    for changed in (
        {"source": 1},
        {"topic": "t2"},
        {"feed": "feed_u"},
    ):
        world.stream([(3, U1, "a", "remove")], **changed)
        assert world.members["a"] == set()
        world.stream([(4, U1, "a", "add")], **changed)
    world.stream([(3, UUID, "a", "add")])
    assert world.members["a"] == {U1, UUID}
    world.stream([(9, U1, "a", "remove")])
    assert world.members["a"] == {U1, UUID}


def test_a_change_bears_its_cause_the_latest_step_and_the_offset_that_made_it(world: World) -> None:
    world.tick(2)
    world.stream([(7, U1, "a", "add"), (8, U1, "b", "add")], at_ms=day_ms(2) + 5_000)
    (home,) = [partition for partition, found in enumerate(change_ids(world)) if found]
    assert change_ids(world)[home] == [f"{SPACE}.feed_t.t.0.7.0", f"{SPACE}.feed_t.t.0.7.1"]
    assert {change["step"] for change in world.changes} == {3}
    assert {change["at"] for change in world.changes} == {"2026-01-02T00:00:05.000Z"}
    assert world.causes("a") == {("stream", "feed_t")}
    sizes = [header(out.headers, "ce_id") for out in world.outs[home] if out.topic == SIZES][-2:]
    assert sizes == [f"{SPACE}.feed_t.t.0.7.size.a", f"{SPACE}.feed_t.t.0.7.size.b"]


def test_an_instant_before_the_latest_step_or_none_is_that_of_the_step(world: World) -> None:
    world.tick(2)
    world.stream([(0, U1, "a", "add")], at_ms=day_ms(1))
    world.stream([(1, U2, "a", "add")])
    assert {change["at"] for change in world.changes} == {"2026-01-02T00:00:00.000Z"}


def test_what_is_cut_off_is_named_by_the_first_event_left(world: World) -> None:
    world.stream([(0, U1, "a", "add"), (1, U1, "b", "add")])
    world.stream([(0, U1, "a", "add"), (1, U1, "b", "add"), (2, U1, "b", "remove")])
    found = [one for each in change_ids(world) for one in each]
    assert found == [f"{SPACE}.feed_t.t.0.{number}" for number in ("0.0", "0.1", "2.0")]


def test_composed_audiences_follow(world: World) -> None:
    world.compose("x", {"and": ["a", {"not": "b"}]})
    world.stream([(0, U1, "a", "add"), (1, U2, "a", "add"), (2, U2, "b", "add")])
    assert world.members["x"] == {U1}
    assert world.causes("x") == {("composition", "feed_t")}


def test_deleted_and_unknown_audiences_are_passed_over(world: World) -> None:
    world.delete("b")
    world.stream([(0, U1, "b", "add"), (1, U1, "never", "add"), (2, U1, "a", "add")])
    assert {name for name, members in world.members.items() if members} == {"a"}


def test_what_is_added_does_not_expire_and_a_removal_takes_it_out_of_every_layer(world: World) -> None:
    world.upload("imp_1", "append", rows("a", [U1, U2]), on_day=1, lookback_days=2)
    world.stream([(0, U2, "a", "add"), (1, U1, "a", "remove"), (2, U3, "a", "add")])
    assert world.members["a"] == {U2, U3}
    world.tick(5)
    assert world.members["a"] == {U2, U3}
    world.upload("imp_2", "replace", rows("a", [U1]), on_day=5)
    assert world.members["a"] == {U1}


def test_events_count_as_later_than_the_imports_that_are_open_and_earlier_than_the_next(world: World) -> None:
    world.open("imp_1", "replace", on_day=1)
    world.stream([(0, U1, "a", "remove"), (1, U2, "a", "add")])
    world.open("imp_2", "replace", on_day=1, event_time_ms=day_ms(1) + 1)
    world.read("imp_1", "r1", rows("a", [U1, U3]))
    world.read("imp_2", "r2", rows("a", [U1]))
    world.apply("imp_1", "r1", ["a"])
    assert world.members["a"] == {U2, U3}
    world.apply("imp_2", "r2", ["a"])
    assert world.members["a"] == {U1}


def test_removed_and_added_again_is_not_nothing_to_an_older_layer(world: World) -> None:
    """A full refresh that comes late keeps newer appends: whoever was removed from one does not come back by it."""
    world.upload("imp_1", "append", rows("a", [U1, U2]), on_day=3, lookback_days=9)
    world.stream([(0, U1, "a", "remove"), (1, U1, "a", "add")])
    world.upload("imp_2", "replace", rows("a", [U3]), on_day=2)
    assert world.members["a"] == {U2, U3}


def test_events_before_the_first_step_of_a_space_do_nothing() -> None:
    world = World(partitions=1)
    world.stream([(0, U1, "a", "add")])
    assert world.outs == [[]]


def test_the_same_log_makes_the_same_records(world: World) -> None:
    for first, after in pairwise(range(0, 60, 7)):
        world.stream(
            [(at, f"u{at % 5:06d}", "ab"[at % 2], "add" if at % 3 else "remove") for at in range(first, after)]
        )
        world.tick(1 + first // 20)
    for partition, log in enumerate(world.log):
        again = world.fold(partition)
        assert [out for record in log for out in again.handle([record], 0)] == world.outs[partition]


@pytest.mark.parametrize("spoilt", ["value", "headers", "order", "offsets"])
def test_what_cannot_be_read_stops_the_partition(world: World, spoilt: str) -> None:
    world.stream([(0, U1, "a", "add"), (1, U1, "b", "add")])
    home = next(partition for partition, log in enumerate(world.log) if len(log) == 3)
    record = world.log[home][-1]
    headers, value = record.headers, record.value
    if spoilt == "value":
        value = b"garbage"
    elif spoilt == "headers":
        headers = tuple(pair for pair in headers if pair[0] != "usher-topic")
    else:
        events: list[Event] = [(0, U1, "a", "add"), (0 if spoilt == "order" else 2, U1, "b", "add")]
        about = {"space_id": SPACE, "feed_id": "feed_t", "topic": "t", "partition": 0}
        ((_, _, value, _),) = event_records(events, world.partitions, **about)
    with pytest.raises(BrokenLog, match="can't be read"):
        list(world.folds[home].handle([Record(record.topic, home, 9, 0, record.key, value, headers)], 0))
