"""What would go beyond what its space may have is refused with a code; who is known already is let in."""

from typing import Any

import pytest
from msgspec import UNSET

from contracts import codes
from contracts.catalog import DEAD_LETTERS, INPUT
from contracts.messages.results import Applied, ReadingBroken, Result, Staged
from contracts.messages.steps import ImportOpenStep, PatchStep
from contracts.records import Out, Record
from tests.unit.domain.membership.wire import ID_TYPE, SPACE, Event, event_records
from tests.unit.domain.membership.world import World, day, day_ms, ids, rows


def opened(world: World, import_id: str, mode: Any = "replace", **limits: Any) -> None:
    """As control opens it, with the limits of the space."""
    lookback_days = 30 if mode == "append" else None
    step = ImportOpenStep(
        **world.next(),
        import_id=import_id,
        feed_id="feed",
        mode=mode,
        day=day(1),
        event_time_ms=day_ms(1),
        object_key="k",
        lookback_days=lookback_days,
        id_type=ID_TYPE,
        **limits,
    )
    world.take(step)


def code_of(results: list[Result]) -> str | None:
    """Of the one result: a partition says once what became of a reading."""
    (result,) = results
    assert isinstance(result, Staged | ReadingBroken)
    return result.code if isinstance(result, ReadingBroken) else None


@pytest.fixture
def world() -> World:
    world = World(partitions=1)
    for audience in ("a", "b"):
        world.define(audience)
    return world


def test_new_identities_beyond_the_limit_break_the_reading_and_known_ones_do_not(world: World) -> None:
    opened(world, "imp_1", identities_max=5)
    assert code_of(world.read("imp_1", "r", rows("a", ids(1, 5)))) is None
    world.apply("imp_1", "r", ["a"])
    for attempt in range(2):
        opened(world, f"imp_more_{attempt}", identities_max=5)
        broken = world.read(f"imp_more_{attempt}", "r", rows("a", ids(3, 8 + attempt)))
        assert code_of(broken) == codes.IDENTITIES_TOO_MANY.code
    opened(world, "imp_2", identities_max=5)
    assert code_of(world.read("imp_2", "r", rows("b", ids(1, 5)))) is None
    world.apply("imp_2", "r", ["b"])
    assert world.members["b"] == set(ids(1, 5))


def test_an_append_beyond_the_layers_breaks_and_other_audiences_take_theirs(world: World) -> None:
    for number in range(3):
        opened(world, f"imp_{number}", "append", layers_max=2)
        staged = world.read(f"imp_{number}", "r", rows("a", ids(number, number)))
        assert code_of(staged) == (codes.LAYERS_TOO_MANY.code if number == 2 else None)
        if number < 2:
            world.apply(f"imp_{number}", "r", ["a"])
    for mode, audience in (("append", "b"), ("replace", "a")):
        opened(world, f"imp_{mode}", mode, layers_max=2)
        assert code_of(world.read(f"imp_{mode}", "r", rows(audience, ids(7, 7)))) is None


def test_steps_of_before_there_were_limits_know_none(world: World) -> None:
    opened(world, "imp_1", "append")
    assert code_of(world.read("imp_1", "r", rows("a", ids(1, 50)))) is None


FULL = 3
MANY = [*ids(1, FULL), "00000000-0000-4000-8000-000000000001"]  # one of another form


def patched(world: World, audience: str, operation: Any, identifiers: list[str], allowed: int | None = FULL) -> object:
    """Takes a members item as control sends it; returns how many were refused."""
    step = PatchStep(
        **world.next(),
        import_id="imp_p",
        audience_id=audience,
        operation=operation,
        identifiers=identifiers,
        identities_max=allowed,
    )
    (applied,) = world.take(step)
    assert isinstance(applied, Applied)
    return applied.refused


@pytest.fixture
def full(world: World) -> World:
    """As many are known as may be, and one more: a command or batch may pass by its own."""
    assert patched(world, "a", "add", MANY) is UNSET
    assert world.members["a"] == {*MANY}
    return world


@pytest.mark.parametrize(("operation", "left"), [("add", {*MANY}), ("replace", {*ids(2, 3)})])
def test_a_command_takes_effect_for_those_that_are_known(full: World, operation: Any, left: set[str]) -> None:
    assert patched(full, "a", operation, ids(2, 9)) == 6
    assert full.members["a"] == left


def test_a_removal_holds_for_those_that_are_new(full: World) -> None:
    opened(full, "imp_1")
    assert patched(full, "b", "remove", ids(8, 9), None) is UNSET
    streamed(full, [(0, "u000007", "b", "remove")])
    full.read("imp_1", "r", rows("b", ids(6, 9)))
    full.apply("imp_1", "r", ["b"])
    assert full.members["b"] == {"u000006"}


def streamed(world: World, events: list[Event], allowed: int | None = FULL) -> list[Out]:
    """Takes events as intake sends them; returns the dead letters."""
    about = {"space_id": SPACE, "feed_id": "feed_t", "topic": "t", "partition": 0, "identities_max": allowed}
    records = [
        Record(INPUT, 0, 0, 0, None, value, headers) for _, headers, value, _ in event_records(events, 1, **about)
    ]
    return [out for out in world.folds[0].handle(records, 0) if out.topic == DEAD_LETTERS]


def test_events_that_add_who_is_new_are_dead_letters_and_the_others_count(full: World) -> None:
    old, new = "u000001", "u000008"
    events: list[Event] = [(4, old, "b", "add"), (5, new, "b", "add"), (6, new, "a", "add"), (7, old, "a", "remove")]
    (letter,) = streamed(full, events)
    said = {name: text.decode() for name, text in letter.headers if name.startswith("dlq-")}
    assert (said["dlq-code"], said["dlq-topic"]) == (codes.IDENTITIES_TOO_MANY.code, INPUT)
    assert said["dlq-detail"] == "2 of 4 events of feed feed_t add new kuid: t/0, offsets 4 to 7"
    assert streamed(full, events) == [], "each is taken once, whatever becomes of it"
    full.snapshot("snp_a", "a")
    full.snapshot("snp_b", "b")
    assert [set(one["members"]) for one in full.snapshots] == [{*MANY} - {old}, {old}]
    assert streamed(full, [(8, new, "b", "add")], None) == []
