"""Objects that a marker makes one import: what belongs to it, in whatever order it is announced."""

import random

import pytest

from contracts import codes
from contracts.messages.published import Import
from contracts.messages.steps import ImportOpenStep
from contracts.records import Out
from tests.unit.domain.control.bench import START_MS, Bench, config, imports, requests, steps
from tests.unit.domain.control.importing import announce, fail, version

SECOND_MS = 1_000
GRACE_MS = 2_000
MARKER = "_SUCCESS"


def told(*, configured: dict[str, object] | None = None, **feed: object) -> Bench:
    """A feed whose folders wait an hour for their marker."""
    bench = Bench(configured=config(**(configured or {}))).space()
    bench.made("feeds.create", {"id": "feed", "name": "f", "mode": "replace", "id_type": "kuid", "source": {"kind": "s3", "prefix": "in/"}, "complete_on": {"marker": MARKER, "timeout_seconds": 3600}, **feed})  # fmt: skip
    return bench


def put(
    bench: Bench,
    name: str,
    *,
    second: int = 0,
    folder: str = "in/2026-01-05",
    etag: str = "e1",
    code: str | None = None,
) -> list[Out]:
    """An object of a folder is announced, created at that second."""
    written = version(f"{folder}/{name}", etag=etag)
    return announce(bench, written, feed="feed", event_time_ms=START_MS + second * SECOND_MS, code=code)


def settle(bench: Bench) -> list[list[str]]:
    """What is asked for once all is quiet: the names of the objects of each import."""
    bench.now_ms += GRACE_MS
    return [[one.key.rpartition("/")[2] for one in asked.objects] for asked in requests(bench.handle())]


def sets(bench: Bench) -> list[Import]:
    return sorted(bench.imports().values(), key=lambda one: one.updated_at)


def test_all_objects_of_a_folder_are_one_import() -> None:
    bench = told()
    outs = put(bench, "b", second=2) + put(bench, "a", second=1)
    assert [(one.state, one.waits_until) for one in imports(outs)] == [("waiting", "2026-01-01T01:00:00.000Z")]

    outs = put(bench, MARKER, second=3)
    assert not steps(outs)
    bench.now_ms += GRACE_MS
    outs = bench.handle()

    (opened,), (asked,) = steps(outs), requests(outs)
    assert isinstance(opened, ImportOpenStep)
    assert (opened.day, opened.object_key) == ("2026-01-05", f"in/2026-01-05/{MARKER}")
    assert opened.event_time_ms == START_MS + 3 * SECOND_MS
    assert [one.key for one in asked.objects] == ["in/2026-01-05/a", "in/2026-01-05/b"]
    assert asked.object == asked.objects[0]
    (record,) = sets(bench)
    assert record.object is not None
    assert (record.state, record.objects, record.object.key) == ("reading", 2, f"in/2026-01-05/{MARKER}")


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_announcements_does_not_matter(seed: int) -> None:
    """Two exports into one folder, and another folder."""
    bench = told()
    announcements: list[dict[str, object]] = [
        {"name": "a", "second": 1},
        {"name": "b", "second": 2},
        {"name": MARKER, "second": 3},
        {"name": "a", "second": 11, "etag": "e2"},
        {"name": "c", "second": 12, "etag": "e2"},
        {"name": MARKER, "second": 13, "etag": "e2"},
        {"name": "z", "second": 5, "folder": "in/2026-01-06"},
        {"name": MARKER, "second": 6, "folder": "in/2026-01-06"},
    ]
    random.Random(seed).shuffle(announcements)
    for one in announcements:
        put(bench, **one)  # type: ignore[arg-type]  # a test's table

    assert sorted(settle(bench)) == [["a", "b"], ["a", "c"], ["z"]]


@pytest.mark.parametrize(
    ("second", "joins"),
    [(1, True), (3, True), (4, False)],
)
def test_a_part_announced_after_the_marker_joins_if_it_is_older_and_nothing_is_read(second: int, joins: bool) -> None:
    bench = told()
    put(bench, "a", second=1)
    put(bench, MARKER, second=3)
    bench.now_ms += GRACE_MS - 1

    put(bench, "b", second=second)

    bench.now_ms += 1
    assert not joins or not requests(bench.handle())  # it gives others the same time
    assert settle(bench) == ([["a", "b"]] if joins else []) or not joins
    assert [[one.key[-1] for one in asked.objects] for asked in requests(bench.outs)] == [
        ["a", "b"] if joins else ["a"]
    ]


def test_what_comes_too_late_waits_for_a_marker_of_its_own() -> None:
    bench = told()
    put(bench, "a", second=1)
    put(bench, MARKER, second=3)
    assert settle(bench) == [["a"]]

    put(bench, "b", second=2)
    assert settle(bench) == []
    put(bench, MARKER, second=9, etag="e2")

    assert settle(bench) == [["b"]]


def test_a_marker_before_its_parts_waits_for_them() -> None:
    bench = told()
    put(bench, MARKER, second=3)
    assert settle(bench) == []

    put(bench, "a", second=1)

    assert settle(bench) == [["a"]]


def test_of_two_versions_of_a_part_the_newer_is_read() -> None:
    bench = told()
    put(bench, "a", second=2, etag="new")
    put(bench, "a", second=1, etag="old")
    put(bench, "a", second=0, code="object-overwritten", etag="older")
    put(bench, MARKER, second=3)
    settle(bench)

    (asked,) = requests(bench.outs)
    assert [one.etag for one in asked.objects] == ["new"]
    assert [one.state for one in sets(bench) if one.state != "reading"] == ["superseded"]


def test_a_part_twice_announced_is_a_duplicate() -> None:
    bench = told()
    put(bench, "a", second=1)

    (said,) = imports(put(bench, "a", second=1))

    assert said.state == "duplicate"


@pytest.mark.parametrize(
    ("names", "there"), [(("a", "b"), "2 objects and no marker"), ((MARKER,), "a marker of nothing")]
)
def test_what_is_never_whole_fails_by_the_space_s_time(names: tuple[str, ...], there: str) -> None:
    bench = told()
    for name in names:
        put(bench, name)

    bench.advance("2026-01-01T00:59:59")
    assert [one.state for one in sets(bench)] == ["waiting"]
    bench.advance("2026-01-01T01:00")

    (failed,) = sets(bench)
    assert failed.error is not None
    assert (failed.state, failed.error.code) == ("failed", codes.IMPORT_MARKER_TIMEOUT.code)
    assert failed.waits_until is None
    assert failed.error.detail == f"{there} within 3600 s"
    assert not requests(bench.outs)
    again = [one.state for name in names for one in imports(put(bench, name))]
    assert again == ["waiting"]  # a reconciler may bring it once more


def test_a_part_that_cannot_be_read_fails_the_whole() -> None:
    bench = told()
    put(bench, "a")
    put(bench, "b", code="object-access-denied")
    put(bench, MARKER, second=1)

    assert settle(bench) == []
    (failed,) = sets(bench)
    assert failed.error is not None
    assert (failed.state, failed.error.code) == ("failed", "object-access-denied")


def test_but_not_once_it_can() -> None:
    bench = told()
    put(bench, "a", code="object-access-denied")
    put(bench, "a")
    put(bench, MARKER, second=1)

    assert settle(bench) == [["a"]]


def test_more_objects_than_a_request_takes_fail_when_all_are_there() -> None:
    bench = told(configured={"parts_bytes_max": 500})
    for name in "abcdefgh":
        put(bench, name)
    put(bench, MARKER, second=1)

    assert settle(bench) == []
    (failed,) = sets(bench)
    assert failed.error is not None
    assert failed.error.code == codes.IMPORT_TOO_MANY_OBJECTS.code


def test_with_an_hour_it_waits_for_both() -> None:
    bench = told(process_at="07:00")
    put(bench, "a")
    put(bench, MARKER, second=5)
    assert settle(bench) == []
    assert sets(bench)[0].waits_until == "2026-01-01T07:00:00.000Z"
    bench.advance("2026-01-01T02:00")  # longer than it would have waited for the marker
    put(bench, "b", second=4)

    bench.advance("2026-01-01T07:00")

    (asked,) = requests(bench.outs)
    assert [one.key[-1] for one in asked.objects] == ["a", "b"]


def test_when_the_store_fails_all_attempts_all_of_it_may_come_again() -> None:
    bench = told()
    put(bench, "a")
    put(bench, MARKER, second=1)
    settle(bench)
    (import_id,) = bench.imports()
    for attempt in (1, 2, 3):
        fail(bench, import_id, attempt=attempt)
        bench.now_ms += 60_000
        bench.handle()
    assert bench.imports()[import_id].state == "failed"

    put(bench, "a")
    put(bench, MARKER, second=1)

    assert settle(bench) == [["a"]]


def test_a_restart_keeps_what_was_collected() -> None:
    bench = told()
    put(bench, "a")
    bench = bench.restart()
    put(bench, MARKER, second=1)
    bench = bench.restart()

    assert settle(bench) == [["a"]]
