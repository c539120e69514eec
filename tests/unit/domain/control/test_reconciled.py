"""Announcements that a listing made: what control knows, or may have forgotten, is no news."""

import msgspec
import pytest

from contracts.instants import instant_text
from contracts.messages.entities import Feed
from contracts.messages.intake import ObjectAnnounced, ObjectVersion
from contracts.records import Out
from tests.unit.domain.control.bench import SPACE, START_MS, Bench, config, imports
from tests.unit.domain.control.importing import announce, carry_through, fail, opened, version

DAY_MS = 86_400_000
FEED = {
    "id": "feed_full", "name": "full", "mode": "replace", "id_type": "kuid",
    "source": {"kind": "s3", "prefix": "full/"},
}  # fmt: skip


@pytest.fixture
def bench() -> Bench:
    bench = Bench(configured=config(objects_max=3)).space()
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"})
    bench.made("feeds.create", FEED)
    return bench


def listed(bench: Bench, object_: ObjectVersion | None = None) -> list[Out]:
    object_ = object_ or version()
    return bench.event(
        ObjectAnnounced(
            space_id=SPACE,
            feed_id="feed_full",
            object=object_,
            event_time_ms=object_.last_modified_ms or 0,
            reconciled=True,
        )
    )


def test_what_is_unknown_is_imported_once_and_a_late_notification_is_a_duplicate(bench: Bench) -> None:
    assert [one.state for one in imports(listed(bench))] == ["announced", "reading"]
    assert listed(bench) == []
    assert [one.state for one in imports(announce(bench))] == ["duplicate"]


def test_what_is_known_leaves_no_trace(bench: Bench) -> None:
    carry_through(bench, opened(bench))
    assert listed(bench) == []


def test_what_failed_and_may_be_announced_again_waits_for_a_person(bench: Bench) -> None:
    fail(bench, opened(bench), code="object-access-denied", retryable=False)
    assert listed(bench) == []
    assert [one.state for one in imports(announce(bench))] == ["announced", "reading"]


def test_what_may_have_been_forgotten_is_not_imported_anew(bench: Bench) -> None:
    """Three versions are remembered; the one that was forgotten looks like one that was lost at that time."""
    keys = [f"full/{at}" for at in range(5)]
    for key in keys:
        bench.now_ms += 60_000
        carry_through(bench, opened(bench, version(key, last_modified_ms=bench.now_ms)))
    assert [imports(listed(bench, version(key, last_modified_ms=START_MS + (at + 1) * 60_000))) for at, key in enumerate(keys)] == [[]] * 5  # fmt: skip
    assert imports(listed(bench, version("full/lost", last_modified_ms=bench.now_ms - 1)))


def test_older_than_control_remembers(bench: Bench) -> None:
    bench.now_ms += 40 * DAY_MS
    old, young = (version(f"full/{days}", last_modified_ms=bench.now_ms - days * DAY_MS) for days in (31, 29))
    assert listed(bench, old) == []
    assert imports(listed(bench, young))


def feed_of(bench: Bench) -> Feed:
    (found,) = [one for one in bench.catalogue.values() if isinstance(one, Feed)]
    return found


def test_a_feed_watches_since_it_has_been_enabled_with_its_prefix(bench: Bench) -> None:
    made = instant_text(START_MS)
    assert feed_of(bench).watched_since == made
    changes: list[tuple[dict[str, object], bool]] = [
        ({"name": "other"}, False),
        ({"enabled": False}, False),
        ({"enabled": True}, True),
        ({"source": FEED["source"]}, False),
        ({"source": {"kind": "s3", "prefix": "elsewhere/"}}, True),
    ]
    since = made
    for fields, moves in changes:
        bench.now_ms += 60_000
        bench.made("feeds.update", {"id": "feed_full", **fields})
        since = instant_text(bench.now_ms) if moves else since
        assert feed_of(bench).watched_since == since, fields


def test_a_manual_clock_does_not_say_when_objects_were_put() -> None:
    bench = Bench().space(clock="manual", time="2020-01-01T00:00:00Z")
    bench.made("feeds.create", FEED)
    assert feed_of(bench).watched_since == instant_text(START_MS)
    assert msgspec.structs.asdict(feed_of(bench))["created_at"].startswith("2020-01-01")
