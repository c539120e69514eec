"""What the reconciler lists, in whose share it is, and which objects count as lost."""

import msgspec
import pytest

from contracts.instants import instant_text
from contracts.messages.intake import ObjectVersion
from services.domain.intake.reconciliation import LOOK_BACK_MS, KnownVersions, counts, may_be_lost, places, share_of
from tests.unit.domain.control.bench import config
from tests.unit.intake.outside import BUCKET, PUT_MS, feed

NOW_MS = PUT_MS + 7 * 86_400_000
VERSION = ObjectVersion(bucket=BUCKET, key="in/x", etag="e", size_bytes=1, last_modified_ms=PUT_MS)


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        ([], []),
        (["in/"], [(BUCKET, "in/")]),
        (["in/inner/", "in/", "in/other/"], [(BUCKET, "in/")]),
        (["in/", "in2/", "in-/"], [(BUCKET, "in-/"), (BUCKET, "in/"), (BUCKET, "in2/")]),
        (["", "in/"], [(BUCKET, "")]),
    ],
)
def test_each_object_is_listed_once(prefixes: list[str], expected: list[tuple[str, str]]) -> None:
    feeds = [feed(f"f{at}", prefix, space_id=f"s{at % 2}") for at, prefix in enumerate(prefixes)]
    assert places(feeds, default_bucket=BUCKET) == expected


def test_a_disabled_feed_and_one_without_any_bucket_are_not_listed() -> None:
    feeds = [feed("f", "in/", enabled=False), feed("g", "on/"), feed("h", "other/", bucket="b")]
    assert places(feeds, default_bucket=None) == [("b", "other/")]
    assert places(feeds, default_bucket=BUCKET) == [("b", "other/"), (BUCKET, "on/")]


def test_every_place_is_in_one_share_and_no_share_has_them_all() -> None:
    shares = [share_of((BUCKET, f"p{at}/"), 4) for at in range(100)]
    assert set(shares) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [(0, False), (59_999, False), (60_000, True), (LOOK_BACK_MS, True), (LOOK_BACK_MS + 1, False)],
)
def test_neither_too_young_nor_too_old(age_ms: int, expected: bool) -> None:
    version = msgspec.structs.replace(VERSION, last_modified_ms=NOW_MS - age_ms)
    assert counts(version, now_ms=NOW_MS, grace_ms=60_000) == expected


def test_control_remembers_longer_than_the_reconciler_looks_back() -> None:
    assert config().objects_keep_ms >= LOOK_BACK_MS + 86_400_000


@pytest.mark.parametrize(("since_ms", "expected"), [(-1, True), (0, True), (999, True), (1000, False)])
def test_what_was_put_before_the_feed_had_its_prefix_is_not_its_own(since_ms: int, expected: bool) -> None:
    """To the second, which is all that S3 says."""
    watched = msgspec.structs.replace(feed("f", "in/"), watched_since=instant_text(PUT_MS + since_ms))
    assert may_be_lost(VERSION, watched) == expected


def test_a_version_is_known_by_what_a_listing_says_of_it() -> None:
    known = KnownVersions()
    known.add("acme", msgspec.structs.replace(VERSION, version_id="v1"), at_ms=0)
    assert known.has("acme", msgspec.structs.replace(VERSION, last_modified_ms=PUT_MS + 999))
    assert not known.has("other", VERSION)
    assert not known.has("acme", msgspec.structs.replace(VERSION, etag="another"))
    assert not known.has("acme", msgspec.structs.replace(VERSION, last_modified_ms=PUT_MS + 1000))


def test_one_that_could_not_be_looked_at_is_known_by_its_content() -> None:
    known = KnownVersions()
    known.add("acme", ObjectVersion(bucket=BUCKET, key="in/x", etag="e"), at_ms=PUT_MS)
    assert known.has("acme", VERSION)


def test_what_no_longer_counts_is_forgotten() -> None:
    known = KnownVersions()
    known.add("acme", VERSION, at_ms=0)
    known.add("acme", msgspec.structs.replace(VERSION, key="in/y", last_modified_ms=PUT_MS + 5_000), at_ms=0)
    known.forget(PUT_MS + 1)
    assert (len(known), known.has("acme", VERSION)) == (1, False)
