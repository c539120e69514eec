"""Readings on a partition: whole or broken, never mixed, counted."""

from collections.abc import Sequence

import pytest

from contracts.messages.results import Applied, ReadingBroken, Staged
from services.domain.membership.broken_log import BrokenLog
from tests.unit.domain.membership.wire import Rows
from tests.unit.domain.membership.world import World, ids, rows


def staged(results: Sequence[object]) -> list[tuple[int, int]]:
    return [(result.rows, result.distinct) for result in results if isinstance(result, Staged)]


def broken(results: Sequence[object]) -> int:
    return sum(isinstance(result, ReadingBroken) for result in results)


NAMED: Rows = [(identifier, "a") for identifier in ids(1, 40)]


def test_rows_and_distinct_are_counted(world: World) -> None:
    world.open("imp_1", "replace", on_day=1)
    counted = staged(world.read("imp_1", "r", [*NAMED, *NAMED, *rows("b", ids(1, 1))]))
    assert (sum(pair[0] for pair in counted), sum(pair[1] for pair in counted)) == (81, 41)


def test_a_reading_is_whole_only_if_seal_and_rows_agree(world: World) -> None:
    world.open("imp_1", "replace", on_day=1)
    everywhere = world.partitions
    assert broken(world.read("imp_1", "more", NAMED, rows_more=1)) == everywhere
    assert broken(world.read("imp_1", "gap", NAMED, lost=0)) == everywhere
    assert broken(world.read("imp_1", "late gap", NAMED, lost=2)) == everywhere
    assert broken(world.read("imp_1", "garbled", NAMED, garbled=1)) == everywhere
    assert world.read("imp_1", "unsealed", NAMED, sealed=False) == []
    assert len(staged(world.read("imp_1", "doubled", NAMED, doubled=True))) == everywhere
    assert world.read("imp_1", "doubled", NAMED) == []  # its seal a second time
    world.apply("imp_1", "doubled", ["a"])
    assert world.members["a"] == set(ids(1, 40))


def test_readings_of_one_import_are_never_mixed(world: World) -> None:
    world.open("imp_1", "replace", on_day=1)
    world.read("imp_1", "r1", rows("a", ids(1, 9)), sealed=False)
    world.read("imp_1", "r2", rows("a", ids(5, 12)))
    world.read("imp_1", "r1", rows("a", ids(1, 9)))
    world.apply("imp_1", "r2", ["a"])
    assert world.members["a"] == set(ids(5, 12))
    assert world.read("imp_1", "r3", NAMED) == []


def test_an_aborted_import_is_forgotten(world: World) -> None:
    world.open("imp_1", "replace", on_day=1)
    world.read("imp_1", "r", NAMED)
    world.abort("imp_1")
    assert world.read("imp_1", "r2", NAMED) == []
    with pytest.raises(BrokenLog, match="imp_1"):
        world.apply("imp_1", "r", ["a"])


def test_identifiers_of_all_forms() -> None:
    world = World()
    world.define("a")
    mixed = [*ids(1, 3), "0123abcd-0000-4000-8000-00000000000f", "0f" * 16, "0f" * 20, "0f" * 32, "ünïcode"]
    world.upload("imp_1", "replace", rows("a", mixed), on_day=1)
    assert world.members["a"] == set(mixed)
    world.patch("a", "remove", mixed[2:])
    assert world.members["a"] == set(mixed[:2])


def test_applied_names_its_place(world: World) -> None:
    applied = world.upload("imp_1", "replace", rows("a", ids(1, 1)), on_day=1)
    assert [(one.partition, one.partitions, one.step) for one in applied] == [
        (partition, world.partitions, world.step) for partition in range(world.partitions)
    ]
    assert all(isinstance(one, Applied) for one in applied)
