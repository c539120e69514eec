"""The life of an object's import, event by event."""

import pytest

from contracts import codes
from contracts.messages.intake import ObjectVersion, ReadingFinished, RowCounts
from contracts.messages.steps import ImportApplyStep, ImportOpenStep
from contracts.records import Out
from tests.unit.domain.control.bench import (
    PARTITIONS,
    SPACE,
    START_MS,
    Bench,
    codes_of,
    config,
    imports,
    letters,
    requests,
    steps,
)
from tests.unit.domain.control.importing import (
    READING,
    announce,
    applied,
    carry_through,
    finish,
    opened,
    staged,
    version,
)

DAY_MS = 86_400_000


@pytest.fixture
def bench() -> Bench:
    """A space with two audiences, a full feed and an incremental one."""
    bench = Bench().space()
    bench.made(
        "audiences.create",
        {"id": "aud_a", "name": "a", "id_type": "kuid"},
        {"id": "aud_b", "name": "b", "id_type": "kuid"},
    )
    bench.made(
        "feeds.create",
        {"id": "feed_full", "name": "full", "mode": "replace", "id_type": "kuid", "source": {"kind": "s3", "prefix": "full/"}},
        {"id": "feed_incr", "name": "incr", "mode": "append", "lookback_days": 10, "id_type": "kuid", "source": {"kind": "s3", "prefix": "incr/"}},
    )  # fmt: skip
    return bench


def states(outs: list[Out]) -> list[str]:
    """The states that imports went through."""
    return [one.state for one in imports(outs)]


def test_an_announced_object_is_opened_on_all_partitions_and_asked_for(bench: Bench) -> None:
    outs = announce(bench)

    opens = steps(outs, partition=None)
    (asked,) = requests(outs)
    assert len(opens) == PARTITIONS
    assert len({one.step for one in opens}) == 1
    assert isinstance(opens[0], ImportOpenStep)
    assert (opens[0].mode, opens[0].day, opens[0].lookback_days) == ("replace", "2026-01-01", None)
    assert opens[0].event_time_ms == START_MS + 3_600_000
    assert (asked.import_id, asked.attempt, asked.open_step) == (opens[0].import_id, 1, opens[0].step)
    assert asked.object == version()
    assert states(outs) == ["announced", "reading"]


def test_a_whole_life(bench: Bench) -> None:
    import_id = opened(bench)

    assert not steps(finish(bench, import_id))
    assert not steps(bench.result(staged(import_id, 0), staged(import_id, 1)))
    outs = bench.result(staged(import_id, 2, rows=2, distinct=2))
    applies = steps(outs, partition=None)
    assert len(applies) == PARTITIONS
    assert isinstance(applies[0], ImportApplyStep)
    assert (applies[0].reading_id, applies[0].audiences) == ("read_1", ["aud_a"])
    assert states(outs) == ["staged"]
    assert not imports(bench.result(applied(import_id, 2), applied(import_id, 0)))
    (last,) = imports(bench.result(applied(import_id, 1, exited=5)))

    assert (last.state, last.error) == ("applied", None)
    counts = last.counts
    assert (counts.rows, counts.valid, counts.rejected, counts.duplicate) == (9, 8, 1, 2)
    assert (counts.entered, counts.exited) == (6, 7)
    assert last.rejected_by_code == {"row-columns": 1}
    assert not [key for key in bench.state if "/import/" in key]


@pytest.mark.parametrize("order", ["finished last", "finished first", "between"])
def test_finished_and_staged_come_in_any_order(bench: Bench, order: str) -> None:
    import_id = opened(bench)
    finished_at = {"finished last": 3, "finished first": 0, "between": 1}[order]
    outs: list[Out] = []
    for number in range(PARTITIONS + 1):
        if number == finished_at:
            outs += finish(bench, import_id)
        if number < PARTITIONS:
            outs += bench.result(staged(import_id, number))

    assert [type(one) for one in steps(outs)] == [ImportApplyStep]


def test_readings_never_mix(bench: Bench) -> None:
    import_id = opened(bench)
    outs = finish(bench, import_id, reading="r1") + finish(bench, import_id, reading="r2")
    outs += bench.result(
        staged(import_id, 0, reading="r1"), staged(import_id, 1, reading="r1"), staged(import_id, 2, reading="r2")
    )
    assert not steps(outs)

    outs = bench.result(staged(import_id, 0, reading="r2"), staged(import_id, 1, reading="r2"))

    (apply,) = steps(outs)
    assert isinstance(apply, ImportApplyStep)
    assert apply.reading_id == "r2"


def test_what_comes_twice_counts_once(bench: Bench) -> None:
    import_id = opened(bench)
    for _ in range(2):
        finish(bench, import_id)
        bench.result(*(staged(import_id, n) for n in range(PARTITIONS)))
    bench.result(*(applied(import_id, 0) for _ in range(3)))
    bench.result(*(applied(import_id, n) for n in range(PARTITIONS)))
    finish(bench, import_id)

    applies = [one for one in steps(bench.outs) if isinstance(one, ImportApplyStep)]
    assert len(applies) == 1
    assert bench.imports()[import_id].counts.entered == 2 * PARTITIONS


def test_an_audience_deleted_meanwhile_is_not_applied(bench: Bench) -> None:
    import_id = opened(bench)
    bench.made("audiences.delete", {"name": "b"})

    outs = carry_through(bench, import_id, audiences=("aud_a", "aud_b"))

    (apply,) = (one for one in steps(outs) if isinstance(one, ImportApplyStep))
    assert apply.audiences == ["aud_a"]


def test_what_was_read_all_the_same_is_remarked_on(bench: Bench) -> None:
    import_id = opened(bench)
    finished = ReadingFinished(
        space_id=SPACE, import_id=import_id, reading_id=READING, attempt=1, counts=RowCounts(rows=6, valid=6),
        audiences=["aud_a"], warnings={codes.OBJECT_UNCOMPRESSED.code: "large"},
    )  # fmt: skip
    bench.event(finished)
    bench.result(*(staged(import_id, partition) for partition in range(PARTITIONS)))
    bench.result(*(applied(import_id, partition) for partition in range(PARTITIONS)))

    record = bench.imports()[import_id]

    assert (record.state, record.error) == ("applied", None)
    assert [(one.code, one.detail) for one in record.warnings] == [(codes.OBJECT_UNCOMPRESSED.code, "large")]


def test_a_file_of_raw_identifiers_is_an_import_of_their_hashes() -> None:
    bench = Bench().space(policies={"raw_identifiers": True})
    feed = {"id": "feed_full", "name": "raw", "mode": "replace", "source": {"kind": "s3", "prefix": "full/"}}
    bench.made("audiences.create", {"id": "aud_h", "name": "h", "id_type": "phone_sha256"})
    bench.made("feeds.create", feed | {"id_type": "phone", "audience_from": {"audience": "h"}})

    outs = announce(bench)

    (step,), (asked,) = steps(outs), requests(outs)
    assert isinstance(step, ImportOpenStep)
    assert (step.id_type, asked.id_type) == ("phone_sha256", "phone")
    for policies in ({"raw_identifiers": False}, None):
        refused = bench.send("spaces.update", {"policies": policies})
        assert codes_of(refused) == [codes.IN_USE.code]
        assert "feed_full" in refused.errors[0].detail
    bench.made("feeds.delete", {"feed": "raw"})
    assert bench.send("spaces.update", {"policies": None}).errors == []


def test_a_file_without_a_valid_row_is_applied_to_nothing(bench: Bench) -> None:
    outs = carry_through(bench, opened(bench), audiences=())

    assert states(outs) == ["staged", "applied"]


@pytest.mark.parametrize(
    ("superseded", "state"),
    [
        ([("aud_a", "aud_b")] * 3, "superseded"),
        ([("aud_a", "aud_b"), ("aud_b",), ("aud_a", "aud_b")], "applied"),
        ([("aud_a",)] * 3, "applied"),
        ([()] * 3, "applied"),
    ],
)
def test_superseded_is_what_stands_newer_everywhere(
    bench: Bench, superseded: list[tuple[str, ...]], state: str
) -> None:
    import_id = opened(bench)
    finish(bench, import_id, audiences=("aud_a", "aud_b"))
    bench.result(*(staged(import_id, n) for n in range(PARTITIONS)))

    bench.result(*(applied(import_id, n, superseded=superseded[n]) for n in range(PARTITIONS)))

    ended = bench.imports()[import_id]
    assert ended.state == state
    assert (ended.error.code if ended.error else None) == (
        codes.IMPORT_SUPERSEDED.code if state == "superseded" else None
    )


@pytest.mark.parametrize(("expired", "code"), [([True] * 3, codes.IMPORT_EXPIRED.code), ([True, False, True], None)])
def test_an_append_that_has_expired_says_so(bench: Bench, expired: list[bool], code: str | None) -> None:
    import_id = opened(bench, version("incr/2026-01-01/a"), feed="feed_incr")
    finish(bench, import_id)
    bench.result(*(staged(import_id, n) for n in range(PARTITIONS)))

    bench.result(*(applied(import_id, n, expired=expired[n]) for n in range(PARTITIONS)))

    ended = bench.imports()[import_id]
    assert ended.state == "applied"
    assert (ended.error.code if ended.error else None) == code


VERSIONED = version(version_id="v1")
SAME: list[tuple[str, ObjectVersion, ObjectVersion, bool]] = [
    ("the same again", version(), version(), True),
    ("size differs, which says nothing", version(), version(size_bytes=None), True),
    ("another eTag", version(), version(etag="e2"), False),
    ("the same content put again later", version(), version(last_modified_ms=START_MS + 1), False),
    ("another key", version(), version("full/b"), False),
    ("the same version id", VERSIONED, version(version_id="v1", etag="other"), True),
    ("another version id, same eTag", VERSIONED, version(version_id="v2"), False),
    ("version id null says nothing", version(version_id="null"), version(), True),
    ("version id null, another eTag", version(version_id="null"), version(version_id="null", etag="e2"), False),
]


@pytest.mark.parametrize(("first", "second", "same"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_an_object_version_is_imported_once(
    bench: Bench, first: ObjectVersion, second: ObjectVersion, *, same: bool
) -> None:
    import_id = opened(bench, first)

    outs = announce(bench, second)

    assert (states(outs) == ["duplicate"]) == same
    (kept, *others) = bench.imports().values()
    assert (kept.import_id, kept.state) == (import_id, "reading")
    assert len(others) == 1
    if same:
        assert others[0].error is not None
        assert others[0].error.code == codes.OBJECT_DUPLICATE.code
        assert not steps(outs)


def test_every_announcement_has_a_record_of_its_own(bench: Bench) -> None:
    carry_through(bench, opened(bench))

    for _ in range(3):
        announce(bench)

    assert sorted(one.state for one in bench.imports().values()) == ["applied", "duplicate", "duplicate", "duplicate"]


def test_what_was_announced_is_forgotten_by_time_and_number() -> None:
    bench = Bench(configured=config(objects_max=2)).space()
    feed = {"id": "feed_full", "name": "full", "mode": "replace", "id_type": "kuid"}
    bench.made("feeds.create", feed | {"source": {"kind": "s3", "prefix": "full/"}})
    for number in range(3):
        opened(bench, version(f"full/{number}"))
    assert len([key for key in bench.state if "/object/" in key]) == 2

    bench.now_ms += 31 * DAY_MS
    opened(bench, version("full/9"))

    assert len([key for key in bench.state if "/object/" in key]) == 1


DAYS: list[tuple[str, str | None]] = [
    ("full/2026-01-05/a.gz", "2026-01-05"),
    ("full/x/2026-01-05/y/2026-01-06/a.gz", "2026-01-05"),
    ("full/2024-02-29/a.gz", "2024-02-29"),
    ("full/2026-13-45/a.gz", None),
    ("full/2026-02-30/a.gz", None),
    ("full/2026-13-45/2026-01-05/a.gz", None),
    ("full/a.gz", "2026-01-01"),
    ("full/2026-01-05", "2026-01-01"),
    ("full/20260105/a.gz", "2026-01-01"),
    ("full/2026-01-05T00/a.gz", "2026-01-01"),
    ("full/٢٠٢٦-٠١-٠٥/a.gz", "2026-01-01"),
]


@pytest.mark.parametrize(("key", "day"), DAYS)
def test_the_day_of_an_import(bench: Bench, key: str, day: str | None) -> None:
    outs = announce(bench, version(key), event_time_ms=START_MS + 40 * DAY_MS)

    if day is None:
        assert states(outs) == ["announced", "failed"]
        (_, ended) = imports(outs)
        assert ended.error is not None
        assert ended.error.code == codes.DAY_INVALID.code
        assert not steps(outs)
    else:
        (step,) = steps(outs)
        assert isinstance(step, ImportOpenStep)
        assert step.day == day


def test_with_a_system_clock_the_day_is_that_of_the_event() -> None:
    bench = Bench()
    bench.made("spaces.create", {"clock": "system"})
    feed = {"id": "feed_full", "name": "full", "mode": "replace", "id_type": "kuid"}
    bench.made("feeds.create", feed | {"source": {"kind": "s3", "prefix": "full/"}})

    (step,) = steps(announce(bench, version("full/a"), event_time_ms=START_MS - 1))

    assert isinstance(step, ImportOpenStep)
    assert step.day == "2025-12-31"


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (codes.OBJECT_GONE, "failed"),
        (codes.OBJECT_ACCESS_DENIED, "failed"),
        (codes.OBJECT_OVERWRITTEN, "superseded"),
    ],
)
def test_an_object_that_watch_cannot_read(bench: Bench, code: codes.Code, state: str) -> None:
    outs = announce(bench, code=code.code)

    assert states(outs) == ["announced", state]
    ended = imports(outs)[-1]
    assert ended.error is not None
    assert ended.error.code == code.code
    assert not steps(outs)
    assert states(announce(bench)) == ["announced", "reading"]


@pytest.mark.parametrize("made", ["gone", "disabled"])
def test_an_object_of_no_feed_is_kept_in_dead_letters(bench: Bench, made: str) -> None:
    if made == "gone":
        bench.made("feeds.delete", {"name": "full"})
    else:
        bench.made("feeds.update", {"feed": "full", "enabled": False})

    outs = announce(bench)

    assert [code for code, _ in letters(outs)] == [codes.NO_FEED_FOR_OBJECT.code]
    assert not imports(outs)


def test_an_import_goes_on_after_its_feed_is_deleted(bench: Bench) -> None:
    import_id = opened(bench)
    bench.made("feeds.delete", {"name": "full"})

    carry_through(bench, import_id)

    assert bench.imports()[import_id].state == "applied"


def test_a_space_with_an_import_in_flight_is_not_deleted(bench: Bench) -> None:
    import_id = opened(bench)
    bench.made("audiences.delete", {"name": "a"}, {"name": "b"})
    bench.made("feeds.delete", {"name": "full"}, {"name": "incr"})
    assert [one.code for one in bench.send("spaces.delete", {}).errors] == [codes.IN_USE.code]

    carry_through(bench, import_id, audiences=())

    assert not bench.send("spaces.delete", {}).errors
