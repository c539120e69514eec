"""A reading that would go beyond what its space may have is broken with a code; what is known already is let in."""

from typing import Any

import pytest

from contracts import codes
from contracts.messages.results import ReadingBroken, Result, Staged
from contracts.messages.steps import ImportOpenStep
from tests.unit.domain.membership.wire import ID_TYPE
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
