"""What waits: refreshes that remove too much for somebody to decide, files for their hour or marker, audiences for runs."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from contracts.messages.published import Import, Removal
from tests.broker.space import Space, named, own_space, rows
from tests.broker.system import System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def manual(system: System, space_name: str) -> AsyncIterator[Space]:
    """A space whose clock stands at the beginning of 2026."""
    async with own_space(system, space_name, clock="manual", time="2026-01-01") as made:
        yield made


async def shown(space: Space, key: str, state: str) -> Import:
    """The only import of the object, once it is in that state."""

    def found() -> Import | None:
        return next((one for one in space.imports(key) if one.state == state), None)

    return await space.until(f"{key} is {state}", found)


async def advance(space: Space, to: str) -> None:
    await space.send("clock.advance", {"to": to})
    await space.catch_up()


async def test_a_full_refresh_that_removes_too_much_is_held_until_somebody_decides(
    space: Space, system: System
) -> None:
    await space.audiences("a", "b", "c")
    await space.feed("full", remove_share_max=0.5)
    await space.feed("incr", mode="append", lookback_days=10)
    await space.put_and_import("full/1", rows("a", range(100)) + rows("b", range(10)))

    held = await space.put_and_import("full/2", rows("a", range(20)) + rows("b", range(5)))
    later = await space.put("incr/1", rows("a", range(200, 203)))
    waiting = await space.until("it waits", lambda: next((one for one in space.imports(later) if one.waits_for), None))
    other = await space.put_and_import("incr/2", rows("c", range(300, 301)))
    await system.kill("control")
    await system.start("control")
    await system.ready("control")

    a = space.observed.id_of("audience", "a")
    assert (held.state, held.removals) == ("held", {a: Removal(removes=80, size=100)})
    assert (waiting.state, waiting.waits_for) == ("staged", held.import_id)
    assert other.state == "applied"
    assert space.members("a") == named(range(100))

    await space.send("imports.approve", {"import": held.import_id})
    applied = await space.until("it is applied", lambda: _ended(space, held.import_id))
    await shown(space, later, "applied")

    assert (applied.state, applied.counts.exited) == ("applied", 80 + 5)
    assert space.members("a") == named(range(20)) | named(range(200, 203))
    assert (space.members("b"), space.members("c")) == (named(range(5)), named(range(300, 301)))
    assert space.states[held.import_id][-4:] == ["staged", "held", "staged", "applied"]


async def test_rejected_or_replaced_it_leaves_no_trace(space: Space) -> None:
    await space.audiences("a")
    await space.feed("full", remove_share_max=0.5)
    await space.put_and_import("full/1", rows("a", range(100)))
    rejected = await space.put_and_import("full/2", rows("a", range(20)))
    await space.send("imports.reject", {"import": rejected.import_id})
    replaced = await space.put_and_import("full/3", rows("a", range(30)))

    await space.put_and_import("full/4", rows("a", range(90)))

    ended = [_ended(space, one.import_id) for one in (rejected, replaced)]
    assert [one and (one.state, one.error and one.error.code) for one in ended] == [
        ("aborted", "import-rejected"),
        ("superseded", "import-superseded"),
    ]
    assert space.members("a") == named(range(90))


async def test_objects_of_a_folder_are_applied_at_once_when_their_marker_is_there(space: Space) -> None:
    await space.audiences("a", "b")
    await space.feed("full", complete_on={"marker": "_SUCCESS", "timeout_seconds": 60})
    await space.put("full/2026-01-05/part-0", rows("a", range(50)))
    await space.put("full/2026-01-05/part-1", rows("a", range(40, 100)) + rows("b", range(3)))
    assert space.members("a") == set()
    marker = await space.put("full/2026-01-05/_SUCCESS", b"")

    ended = await space.ended(marker)

    assert (ended.state, ended.objects, ended.day) == ("applied", 2, "2026-01-05")
    assert (ended.counts.valid, ended.counts.entered) == (113, 103)
    assert (space.members("a"), space.members("b")) == (named(range(100)), named(range(3)))
    assert len({change.step for _, change in space.changes}) == 1
    assert space.letter_codes(space.name) == []


async def test_files_wait_for_their_hour_and_audiences_for_their_run(manual: Space) -> None:
    await manual.send(
        "audiences.create",
        {"name": "slow", "id_type": "kuid", "evaluation": {"mode": "scheduled", "at": ["00:00", "12:00"]}},
        {"name": "quick", "id_type": "kuid"},
        {"name": "follows", "expression": {"or": [{"audience": "slow"}, {"audience": "quick"}]}},
    )
    await manual.feed("full", process_at="06:00")
    key = await manual.put("full/1", rows("slow", range(50)) + rows("quick", range(60, 70)))
    waiting = await shown(manual, key, "waiting")
    assert waiting.waits_until == "2026-01-01T06:00:00.000Z"

    await advance(manual, "2026-01-01T05:59")
    assert [one.state for one in manual.imports(key)] == ["waiting"]
    await advance(manual, "2026-01-01T06:00")
    ended = await shown(manual, key, "applied")
    assert ended.counts.entered == 10  # what waits for a run has not entered yet
    assert manual.members("follows") == named(range(60, 70))
    reply = await manual.ask("members.add", {"audience": "slow", "identifiers": ["later"]})
    assert reply["effective_at"] == "2026-01-01T12:00:00.000Z"
    assert reply["expected_live_at"] == "2026-01-01T17:00:00.000Z"

    await advance(manual, "2026-01-01T12:00")  # its reply comes after the run

    assert manual.members("slow") == named(range(50)) | {"later"}
    assert manual.members("follows") == manual.members("slow") | named(range(60, 70))
    causes = {change.cause.kind for _, change in manual.changes if "u000001" in change.members}
    assert causes == {"run", "composition"}


async def test_a_run_can_be_forced_and_a_hold_lapses_by_the_space_s_clock(manual: Space) -> None:
    await manual.send(
        "audiences.create", {"name": "a", "id_type": "kuid", "evaluation": {"mode": "scheduled", "at": ["12:00"]}}
    )
    await manual.feed("full", remove_share_max=0)
    await manual.put_and_import("full/1", rows("a", range(10)))
    await manual.send("audiences.run", {"audience": "a"})
    await manual.until("it has run", lambda: manual.members("a") == named(range(10)))
    held = await manual.put_and_import("full/2", rows("a", range(9)))
    assert held.state == "held"

    await advance(manual, "2026-01-04")

    lapsed = _ended(manual, held.import_id)
    assert lapsed is not None
    assert (lapsed.state, lapsed.error and lapsed.error.code) == ("aborted", "import-hold-lapsed")
    assert manual.members("a") == named(range(10))


def _ended(space: Space, import_id: str) -> Import | None:
    found = space.observed.imports[import_id]
    return found if found.state in {"applied", "aborted", "superseded"} else None
