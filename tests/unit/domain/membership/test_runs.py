"""Scheduled audiences collect, and change by runs only."""

from tests.unit.domain.membership.world import World, day_ms

A, B = "u000001", "u000002"


def told() -> World:
    """A scheduled list, a composition that follows at once, and one that is scheduled too."""
    world = World()
    world.define("slow", scheduled=True)
    world.compose("follows", "slow")
    world.compose("waits", "slow", scheduled=True)
    return world


def test_nothing_shows_before_the_run_and_everything_in_it() -> None:
    world = told()
    world.upload("imp_1", "replace", [(A, "slow"), (B, "slow")], on_day=1)
    assert world.patch("slow", "remove", [B]) == (0, 0)
    assert world.changes == []

    world.run("slow", "waits")

    assert world.members == {"slow": {A}, "follows": {A}, "waits": {A}}
    run = f"step-{world.step}"
    assert (world.causes("slow"), world.causes("waits")) == ({("run", run)}, {("run", run)})
    assert world.causes("follows") == {("composition", run)}
    assert {change["step"] for change in world.changes} == {world.step}


def test_parts_are_seen_as_they_are_published() -> None:
    world = told()
    world.patch("slow", "add", [A])
    world.run("waits")
    assert world.members == {}

    world.run("slow")
    assert world.members == {"slow": {A}, "follows": {A}}


def test_what_expires_shows_at_the_next_run() -> None:
    world = told()
    world.upload("imp_1", "append", [(A, "slow")], on_day=1, lookback_days=1)
    world.run("slow")
    world.tick(2)
    assert world.size("slow") == 1

    world.run("slow")
    assert world.size("slow") == 0


def test_in_and_out_between_two_runs_is_nothing() -> None:
    world = told()
    world.patch("slow", "add", [A])
    world.patch("slow", "remove", [A])

    world.run("slow", "waits")

    assert world.changes == []


def test_no_more_scheduled_it_shows_at_once() -> None:
    world = told()
    world.patch("slow", "add", [A])
    world.compose("waits", "slow")
    assert world.changes == []

    world.define("slow")

    assert world.causes("slow") == {("definition", "slow")}
    assert world.causes("waits") == {("composition", "slow")}


def test_from_now_on_scheduled_it_stays_as_it_is() -> None:
    world = told()
    world.define("quick")
    world.patch("quick", "add", [A])
    world.define("quick", scheduled=True)
    world.forget_changes()

    world.patch("quick", "clear")
    assert (world.changes, world.size("quick")) == ([], 1)
    world.run("quick")
    assert world.changed("quick")["exited"] == {A}


def test_deleted_it_does_not_wait() -> None:
    world = told()
    world.patch("slow", "add", [A])
    world.run("slow")

    world.delete("slow")

    assert world.members["slow"] == set()


def test_a_guard_weighs_what_is_published() -> None:
    world = told()
    world.patch("slow", "add", [A, B])
    world.run("slow")
    world.patch("slow", "clear")
    world.now_ms = day_ms(2)
    world.open("imp_1", "replace", on_day=2)
    world.read("imp_1", "r", [(A, "slow")])

    assert world.weigh("imp_1", "r", ["slow"]) == {"slow": (1, 2)}
