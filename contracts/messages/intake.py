"""The talk of control and intake: announcements and readings. Times are milliseconds since 1970."""

from typing import Literal

import msgspec

from contracts.messages.entities import Column, FixedAudience


class ObjectVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One exact version of one object: (bucket, key, version id, else eTag and LastModified)."""

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None
    size_bytes: int | None = None
    last_modified_ms: int | None = None


class ObjectAnnounced(msgspec.Struct, frozen=True, kw_only=True, tag="object-announced", tag_field="type"):
    """watch → control: an object that feed `feed_id` reads was created. `code` set: it can't be read, and why.

    `reconciled`: found in a listing of the feed's prefix, not told by the store. What is known already is no news then.
    """

    space_id: str
    feed_id: str
    object: ObjectVersion
    event_time_ms: int
    sequencer: str | None = None
    code: str | None = None
    reconciled: bool = False


class RowCounts(msgspec.Struct, frozen=True, kw_only=True):
    """`rows = valid + rejected`; `valid` counts duplicates too."""

    rows: int = 0
    valid: int = 0
    rejected: int = 0


class ReadingFinished(msgspec.Struct, frozen=True, kw_only=True, tag="reading-finished", tag_field="type"):
    """read → control: every row is on the input, sealed. `audiences` are all that at least one valid row names.

    `warnings`: by code, remarks on objects that were read all the same.
    """

    space_id: str
    import_id: str
    reading_id: str
    attempt: int
    counts: RowCounts
    audiences: list[str]
    rejected_by_code: dict[str, int] = {}
    rejects: str | None = None
    warnings: dict[str, str] = {}


class ReadingFailed(msgspec.Struct, frozen=True, kw_only=True, tag="reading-failed", tag_field="type"):
    """read → control: this attempt failed; `retryable` says whether another can help."""

    space_id: str
    import_id: str
    attempt: int
    code: str
    detail: str
    retryable: bool


class ReadingProgress(msgspec.Struct, frozen=True, kw_only=True, tag="reading-progress", tag_field="type"):
    """read → control, now and then: how far this attempt is. `read_bytes` of `total_bytes` are those of the objects."""

    space_id: str
    import_id: str
    attempt: int
    read_bytes: int
    total_bytes: int | None
    rows: int


IntakeEvent = ObjectAnnounced | ReadingFinished | ReadingFailed | ReadingProgress


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """control → read on `usher.intake.requests.v1`: read this version, its feed's form included.

    `id_type` is the feed's: `email` and `phone` are hashed as they are read. `objects`, where there are any, are to be
    read in their order as one; `object` is the first of them then. Audiences created after `open_step` are unknown to
    this object (engine.md §1 rule 7).
    """

    space_id: str
    import_id: str
    attempt: int
    object: ObjectVersion
    feed_id: str
    prefix: str
    mode: Literal["append", "replace", "remove"]
    id_type: str
    format: str
    columns: list[Column] | None
    audience_from: str | FixedAudience
    open_step: int
    objects: list[ObjectVersion] = []
