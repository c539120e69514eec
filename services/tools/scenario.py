"""Scenario files (contracts.md §7): their form, and the pure part of playing one.

What identities a range means, what text a file holds, where it goes. Talks to nothing; `play` does.
"""

import csv
import datetime as dt
import gzip
import io
from pathlib import PurePosixPath

import msgspec

Rows = dict[str, str | list[str]]


class CommandEntry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One command of a day. `expect_reply` names counts, `status`, or `code` (of the first error)."""

    type: str
    data: dict[str, object] | list[object]
    expect_reply: dict[str, object] | None = None


class Upload(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One file: `rows` by audience, or its literal text in `raw`. `expect_import` names counts, `state` or `error`."""

    feed: str
    rows: Rows | None = None
    raw: str | None = None
    gzip: bool = False
    date: dt.date | None = None
    name: str | None = None
    expect_import: dict[str, object] | None = None


class Day(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One entry of `days`; day 1 is the scenario's start."""

    day: int
    at: str | None = None
    commands: list[CommandEntry] = []
    uploads: list[Upload] = []
    expect: dict[str, int] = {}
    expect_changes: dict[str, dict[str, int]] = {}
    expect_members: dict[str, str | list[str]] = {}
    expect_delivered: dict[str, int] = {}


class Scenario(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A whole file. Items of `audiences`, `feeds`, `destinations` and `activations` are those of the commands."""

    name: str
    space: str
    start: dt.date
    audiences: list[dict[str, object]] = []
    feeds: list[dict[str, object]] = []
    destinations: list[dict[str, object]] = []
    activations: list[dict[str, object]] = []
    days: list[Day]


def read_scenario(text: bytes) -> Scenario:
    """Raises `msgspec.ValidationError` or `msgspec.DecodeError`, naming the place in the file."""
    scenario = msgspec.yaml.decode(text, type=Scenario, strict=True)
    for entry in scenario.days:
        if entry.day < 1:
            raise msgspec.ValidationError(f"days: day {entry.day} is before day 1")
        for upload in entry.uploads:
            if (upload.rows is None) == (upload.raw is None):
                raise msgspec.ValidationError(f"day {entry.day}: an upload has either `rows` or `raw`")
            feed_of(scenario, upload)
    return scenario


def identities(spec: str | list[str]) -> list[str]:
    """`"1..50,80..90"` as u000001 … u000050, u000080 … u000090; a list is literal."""
    if isinstance(spec, list):
        return [str(value) for value in spec]
    found: list[str] = []
    for part in spec.split(","):
        first, _, last = part.strip().partition("..")
        found.extend(f"u{number:06d}" for number in range(int(first), int(last or first) + 1))
    return found


def moment(scenario: Scenario, entry: Day) -> str:
    """The instant of a day's entry, RFC 3339."""
    day = scenario.start + dt.timedelta(days=entry.day - 1)
    return f"{day.isoformat()}T{entry.at or '00:00'}:00.000Z"


def feed_of(scenario: Scenario, upload: Upload) -> dict[str, object]:
    """The feed's item; raises `msgspec.ValidationError` where the scenario has none of that name."""
    for feed in scenario.feeds:
        if feed.get("name") == upload.feed:
            return feed
    raise msgspec.ValidationError(f"uploads: no feed {upload.feed!r} in the scenario")


def feed_item(feed: dict[str, object]) -> dict[str, object]:
    """The item of `feeds.create`: `prefix` is short for an s3 source."""
    item = {name: value for name, value in feed.items() if name != "prefix"}
    if "prefix" in feed:
        item.setdefault("source", {"kind": "s3", "prefix": feed["prefix"]})
    return item


def feed_prefix(feed: dict[str, object]) -> str:
    source = feed_item(feed).get("source")
    prefix = source.get("prefix") if isinstance(source, dict) else None
    return str(prefix or "")


def upload_key(scenario: Scenario, entry: Day, upload: Upload, number: int) -> str:
    """Prefix, audience folder where the feed takes it from the path, day folder, name suffixed with the date."""
    feed = feed_of(scenario, upload)
    day = (upload.date or scenario.start + dt.timedelta(days=entry.day - 1)).isoformat()
    folder = ""
    if feed.get("audience_from") == "path" and upload.rows:
        folder = f"{next(iter(upload.rows))}/"
    name = upload.name or f"{upload.feed}-{entry.day}-{number}-{day}{'.gz' if upload.gzip else ''}"
    return str(PurePosixPath(f"{feed_prefix(feed)}{folder}{day}") / name)


def upload_body(scenario: Scenario, upload: Upload) -> bytes:
    """The bytes of the file."""
    feed = feed_of(scenario, upload)
    text = upload.raw if upload.raw is not None else _rows_text(feed, upload.rows or {})
    body = text.encode()
    return gzip.compress(body, compresslevel=1, mtime=0) if upload.gzip else body


def _rows_text(feed: dict[str, object], rows: Rows) -> str:
    one_column = feed.get("audience_from", "column") != "column"
    pairs = [(identity, audience) for audience, spec in rows.items() for identity in identities(spec)]
    if feed.get("format", "caret") == "csv":
        return _csv_text(feed, pairs)
    if one_column:
        return "".join(f"{identity}\n" for identity, _ in pairs)
    delimiter = "\t" if feed.get("format") == "tab" else "^"
    return "".join(f"{identity}{delimiter}{audience}\n" for identity, audience in pairs)


def _csv_text(feed: dict[str, object], pairs: list[tuple[str, str]]) -> str:
    columns = feed.get("columns")
    described = columns if isinstance(columns, list) else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column["name"] for column in described])
    cell = {"identifier": 0, "audience": 1}
    for pair in pairs:
        writer.writerow([pair[cell[c["role"]]] if c["role"] in cell else "" for c in described])
    return out.getvalue()
