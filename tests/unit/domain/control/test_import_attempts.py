"""Attempts at reading an object: failed, late, broken, and when they end."""

import pytest

from contracts import codes
from contracts.messages.intake import ReadingProgress
from contracts.messages.published import Progress
from contracts.messages.steps import ImportAbortStep
from contracts.records import Out, Record
from tests.unit.domain.control.bench import PARTITIONS, SPACE, START_MS, Bench, imports, requests, steps
from tests.unit.domain.control.importing import announce, applied, broken, carry_through, fail, finish, opened, staged


@pytest.fixture
def bench() -> Bench:
    """A space with an audience and a full feed."""
    bench = Bench().space()
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"})
    source = {"source": {"kind": "s3", "prefix": "full/"}}
    bench.made("feeds.create", {"id": "feed_full", "name": "full", "mode": "replace", "id_type": "kuid", **source})
    return bench


def states(outs: list[Out]) -> list[str]:
    """The states that imports went through."""
    return [one.state for one in imports(outs)]


def due(bench: Bench) -> list[Out]:
    """Time passes until something is due, and it is done."""
    at_ms = bench.shard.due_ms()
    assert at_ms is not None
    assert at_ms > bench.now_ms
    bench.now_ms = at_ms
    return bench.handle()


def test_three_failed_attempts_are_the_end(bench: Bench) -> None:
    import_id = opened(bench)
    for attempt in (1, 2):
        assert not steps(fail(bench, import_id, attempt=attempt))
        (asked,) = requests(due(bench))
        assert asked.attempt == attempt + 1

    outs = fail(bench, import_id, attempt=3)

    assert [type(one) for one in steps(outs, partition=None)] == [ImportAbortStep] * PARTITIONS
    (ended,) = imports(outs)
    assert (ended.state, ended.attempt) == ("failed", 3)
    assert ended.error is not None
    assert (ended.error.code, ended.error.detail) == (codes.OBJECT_UNREADABLE.code, "said so")
    assert bench.shard.due_ms() is None


def test_three_late_attempts_are_the_end(bench: Bench) -> None:
    import_id = opened(bench)
    asked: list[int] = []
    while bench.shard.due_ms() is not None:
        asked += [one.attempt for one in requests(due(bench))]

    assert asked == [2, 3]
    ended = bench.imports()[import_id]
    assert ended.error is not None
    assert (ended.state, ended.error.code) == ("failed", codes.READING_LATE.code)
    assert bench.now_ms - START_MS == 3 * 300_000 + 1_000 + 10_000


def test_a_failure_that_no_retry_can_help_is_the_end_at_once(bench: Bench) -> None:
    import_id = opened(bench)

    outs = fail(bench, import_id, code=codes.OBJECT_TRUNCATED.code, retryable=False)

    assert [type(one) for one in steps(outs)] == [ImportAbortStep]
    assert states(outs) == ["failed"]
    assert states(announce(bench)) == ["duplicate"]


def test_overwritten_while_it_was_read_is_superseded(bench: Bench) -> None:
    outs = fail(bench, opened(bench), code=codes.OBJECT_OVERWRITTEN.code, retryable=False)

    assert states(outs) == ["superseded"]


def test_what_the_operator_has_mended_may_be_announced_again(bench: Bench) -> None:
    first = opened(bench)
    fail(bench, first, code=codes.OBJECT_ACCESS_DENIED.code, retryable=False)

    second = opened(bench)
    carry_through(bench, second)

    assert second != first
    assert [bench.imports()[one].state for one in (first, second)] == ["failed", "applied"]
    assert states(announce(bench)) == ["duplicate"]


def test_the_failure_of_an_earlier_attempt_says_nothing(bench: Bench) -> None:
    import_id = opened(bench)
    fail(bench, import_id)
    due(bench)

    assert not imports(fail(bench, import_id, attempt=1))
    assert bench.imports()[import_id].attempt == 2


def test_a_late_reading_still_counts_while_the_next_is_awaited(bench: Bench) -> None:
    import_id = opened(bench)
    due(bench)

    carry_through(bench, import_id)

    assert bench.imports()[import_id].state == "applied"


@pytest.mark.parametrize("broken_first", [True, False])
def test_a_broken_reading_is_done_again(bench: Bench, *, broken_first: bool) -> None:
    import_id = opened(bench)
    if broken_first:
        bench.result(broken(import_id))
        finish(bench, import_id)
    else:
        finish(bench, import_id)
        bench.result(broken(import_id))
    bench.result(*(staged(import_id, n) for n in range(PARTITIONS)))

    (asked,) = requests(due(bench))

    assert asked.attempt == 2
    finish(bench, import_id, reading="r2", attempt=2)
    bench.result(*(staged(import_id, n, reading="r2") for n in range(PARTITIONS)))
    bench.result(*(applied(import_id, n) for n in range(PARTITIONS)))
    assert bench.imports()[import_id].state == "applied"


def test_a_broken_reading_of_an_earlier_attempt_does_not_spend_this_one(bench: Bench) -> None:
    import_id = opened(bench)
    due(bench)
    due(bench)
    finish(bench, import_id, reading="old", attempt=1)

    bench.result(broken(import_id, reading="old"))

    at_ms = bench.shard.due_ms()
    assert at_ms == bench.now_ms + 300_000


def progress(bench: Bench, import_id: str, read_bytes: int, *, attempt: int = 1) -> list[Out]:
    """A reader is under way."""
    return bench.event(
        ReadingProgress(
            space_id=SPACE, import_id=import_id, attempt=attempt, read_bytes=read_bytes, total_bytes=100, rows=7
        )
    )


def test_progress_shows_in_the_record_until_everything_is_read(bench: Bench) -> None:
    import_id = opened(bench)

    (told,) = imports(progress(bench, import_id, 40))
    assert (told.state, told.progress) == ("reading", Progress(read_bytes=40, total_bytes=100, rows=7))
    carry_through(bench, import_id)

    assert bench.imports()[import_id].progress is None
    assert progress(bench, import_id, 50) == [], "of an import that has ended: nothing"


def test_an_attempt_that_gets_on_is_not_late(bench: Bench) -> None:
    import_id = opened(bench)
    for _ in range(10):
        bench.now_ms += bench.config.reading_deadline_ms - 1
        progress(bench, import_id, 1)

    assert bench.imports()[import_id].attempt == 1
    assert requests(due(bench)) == [], "late: asked again after a delay"
    (asked,) = requests(due(bench))
    assert asked.attempt == 2
    assert bench.imports()[import_id].progress is None
    assert progress(bench, import_id, 2, attempt=1) == [], "of an attempt that was given up"


def test_an_owner_that_wakes_when_others_have_gone_on_comes_as_far_as_being_fenced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds the object announced, and what became of a reading that another has asked for, in one batch."""
    asleep, handle, said = bench.restart(), bench.handle, list[Record]()

    def heard(*records: Record) -> list[Out]:
        said.extend(records)
        return handle(*records)

    monkeypatch.setattr(bench, "handle", heard)
    assert states(carry_through(bench, opened(bench)))[-1] == "applied"
    assert states(asleep.handle(*said)) == ["announced", "reading"]
