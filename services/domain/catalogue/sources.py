"""Where a feed's rows come from, and what follows from that for the rest of the feed (contracts.md §3)."""

import re
from typing import Final

from contracts import codes
from contracts.messages.entities import Feed, Source
from services.domain.catalogue.failed import ItemFailed, fail, quoted

TOPIC_FORMAT: Final = "json"
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")  # what a broker takes as a name
_PREFIX_BYTES_MAX: Final = 1024


def checked_source(source: Source) -> Source:
    """The source with what its kind has; raises `ItemFailed`."""
    match source.kind:
        case "s3":
            return _objects(source)
        case "topic":
            return _topic(source)
        case kind:
            raise ItemFailed(codes.FIELD_INVALID, f"source kind {quoted(kind)} is neither s3 nor topic")


def check_topic_feed(feed: Feed) -> None:
    """Raises `ItemFailed` where a feed that reads a topic says what only objects can be read by.

    An event adds or removes by itself, and what it adds stays until something removes it: there is no other mode, and
    nothing to look back to.
    """
    if feed.mode != "append":
        fail(codes.FIELD_INVALID, "mode is append where the source is a topic: each event says what it does")
    if feed.format != TOPIC_FORMAT:
        fail(codes.FIELD_INVALID, f"format is {TOPIC_FORMAT} where the source is a topic")
    if feed.audience_from == "path":
        fail(codes.FIELD_INVALID, "audience_from path is for objects")
    said = {
        "lookback_days": feed.lookback_days,
        "columns": feed.columns,
        "process_at": feed.process_at,
        "remove_share_max": feed.remove_share_max,
        "complete_on": None if feed.complete_on == "object" else feed.complete_on,
    }
    for field, value in said.items():
        if value is not None:
            fail(codes.FIELD_INVALID, f"{field} is for objects")


def source_key(source: Source) -> str:
    """What two feeds of one space must not share."""
    if source.kind == "topic":
        return f"topic/{source.topic}"
    return f"s3/{source.bucket or ''}\n{source.prefix or ''}"


def _objects(source: Source) -> Source:
    if not source.prefix:
        fail(codes.FIELD_REQUIRED, "source.prefix is required")
    if source.prefix.startswith("/") or len(source.prefix.encode()) > _PREFIX_BYTES_MAX:
        fail(codes.FIELD_INVALID, "source.prefix: at most 1,024 bytes, without a leading /")
    if source.bucket is not None and not source.bucket.strip():
        fail(codes.FIELD_INVALID, "source.bucket is blank")
    if source.topic is not None:
        fail(codes.FIELD_INVALID, "source.topic is for kind topic")
    return Source(kind="s3", bucket=source.bucket, prefix=source.prefix)


def _topic(source: Source) -> Source:
    if not source.topic:
        fail(codes.FIELD_REQUIRED, "source.topic is required")
    if not _TOPIC.fullmatch(source.topic) or source.topic in {".", ".."}:
        fail(codes.FIELD_INVALID, f"source.topic {quoted(source.topic)} is no name of a topic")
    if source.bucket is not None or source.prefix is not None:
        fail(codes.FIELD_INVALID, "source.bucket and source.prefix are for kind s3")
    return Source(kind="topic", topic=source.topic)
