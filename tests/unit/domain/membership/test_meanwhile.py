"""Commands and other files while a file is being read: an import takes its place when it is opened (engine.md §1)."""

from typing import NamedTuple

import pytest

from tests.unit.domain.membership.world import Mode, World, ids, rows

U1, U2, U3 = ids(1, 3)


class Meanwhile(NamedTuple):
    """Commands on `a` (base {u1}) while an import with rows {u1, u2} is being read, and who is in at the end."""

    mode: Mode
    commands: list[tuple[str, str]]
    members: set[str]


MEANWHILE = [
    Meanwhile("replace", [], {U1, U2}),
    Meanwhile("replace", [("remove", U2)], {U1}),
    Meanwhile("replace", [("add", U3)], {U1, U2, U3}),
    Meanwhile("replace", [("add", U3), ("remove", U3)], {U1, U2}),
    Meanwhile("replace", [("remove", U1), ("add", U1)], {U1, U2}),
    Meanwhile("replace", [("add", U3), ("remove", U3), ("add", U3)], {U1, U2, U3}),
    Meanwhile("append", [("remove", U2)], {U1}),
    Meanwhile("append", [("remove", U1)], {U2}),
    Meanwhile("append", [("remove", U1), ("add", U1)], {U1, U2}),
    Meanwhile("remove", [("add", U2)], {U2}),
    Meanwhile("remove", [("add", U1), ("add", U3)], {U1, U3}),
    Meanwhile("remove", [("add", U1), ("remove", U1)], set()),
]


@pytest.mark.parametrize("case", MEANWHILE, ids=lambda case: f"{case.mode} {case.commands}")
def test_a_command_sent_while_a_file_is_read_is_not_undone_by_it(world: World, case: Meanwhile) -> None:
    world.patch("a", "replace", [U1])
    lookback = 10 if case.mode == "append" else None
    world.open("imp_1", case.mode, on_day=2, lookback_days=lookback)
    for operation, identifier in case.commands:
        world.patch("a", "add" if operation == "add" else "remove", [identifier])
    world.read("imp_1", "r", rows("a", [U1, U2]))
    world.apply("imp_1", "r", ["a"])
    assert world.members["a"] == case.members


def test_an_older_command_is_not_laid_over_a_newer_file(world: World) -> None:
    """The command came before the second file was opened: the second file wins, also after the first is applied."""
    world.open("imp_1", "append", on_day=1, lookback_days=10)
    world.patch("a", "remove", [U1])
    world.upload("imp_2", "append", rows("a", [U1]), on_day=2, lookback_days=10)
    world.read("imp_1", "r", rows("a", [U1, U2]))
    world.apply("imp_1", "r", ["a"])
    assert world.members["a"] == {U1, U2}
    world.tick(12)
    assert world.size("a") == 0


def test_an_opt_out_file_counts_as_later_than_files_opened_before_it(world: World) -> None:
    world.open("imp_1", "append", on_day=1, lookback_days=10)
    world.upload("imp_o", "remove", rows("a", [U1]), on_day=1)
    world.read("imp_1", "r", rows("a", [U1, U2]))
    world.apply("imp_1", "r", ["a"])
    assert world.members["a"] == {U2}
