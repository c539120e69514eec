"""What S3 stores write when they announce an object: members, key encoding, sequencers.

Facts only, each from streaming-practice.md §1.4 or the store's source; `contracts.object_events` reads messages by
them. A new store is a new line of the table.
"""

import re
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import unquote_plus

import msgspec
from msgspec import Meta, field

KEY_BYTES_MAX: Final = 1024
KeyEncoding = Literal["auto", "url", "raw"]


class Dialect(NamedTuple):
    """How one kind of store writes its notifications."""

    name: str
    encoded: bool  # its keys are URL-encoded, with + for space
    certain: bool  # and there is no doubt about that
    ordered: bool  # its sequencer orders the events of one key


# Certain is what carries a mark of its own and was measured or read in the source. `aws:s3` is also what imitators
# write, and some of them do not encode; Ceph's and StorageGRID's encoding is not documented.
# Ordered is what AWS promises and StorageGRID repeats. MinIO's sequencer is each node's own clock, and its maintainers
# say that it cannot order; Ceph's is a little-endian struct's memory in hex; versitygw's a counter that restarts with
# the process; moto sends none, or one constant for all events.
AWS: Final = Dialect("aws", encoded=True, certain=False, ordered=True)
EVENTBRIDGE: Final = Dialect("eventbridge", encoded=False, certain=True, ordered=True)
MOTO: Final = Dialect("moto", encoded=True, certain=False, ordered=False)
MOTO_EVENTBRIDGE: Final = Dialect("moto", encoded=False, certain=True, ordered=False)
VERSITYGW: Final = Dialect("versitygw", encoded=False, certain=True, ordered=False)
_UNNAMED: Final = Dialect("s3-compatible", encoded=True, certain=False, ordered=False)
_BY_SOURCE: Final = {
    "": _UNNAMED,
    "aws:s3": AWS,
    "ceph:s3": Dialect("ceph", encoded=False, certain=False, ordered=False),
    "minio:s3": Dialect("minio", encoded=True, certain=True, ordered=False),
    "sgws:s3": Dialect("storagegrid", encoded=True, certain=False, ordered=True),
}

# MinIO calls these ObjectCreated too, though the content stays as it was: a tag on last year's file is no new file.
CONTENT_UNCHANGED: Final = frozenset(
    f"ObjectCreated:{action}" for action in ("DeleteTagging", "PutLegalHold", "PutRetention", "PutTagging")
)


# What is not printable ASCII would end in a header, a metric or a log line, and no store sends it. The bucket's form is
# the one that S3 clients accept.
_EventName = Annotated[str, Meta(pattern=r"\A[ -~]{0,100}\Z")]
_Token = Annotated[str, Meta(pattern=r"\A[!-~]{0,1024}\Z")]
_BucketName = Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9._-]{1,255}\Z")]
_SizeBytes = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Bucket(msgspec.Struct):
    name: _BucketName


class ObjectMember(msgspec.Struct, kw_only=True):
    """The announced object, whatever its carrier spells the members."""

    key: str
    size: _SizeBytes | None = None
    sequencer: _Token | None = None
    etag: _Token | None = None
    version_id: _Token | None = None


class _RecordObject(ObjectMember):
    etag: _Token | None = field(name="eTag", default=None)
    version_id: _Token | None = field(name="versionId", default=None)


class _EventBridgeObject(ObjectMember):
    version_id: _Token | None = field(name="version-id", default=None)
    moto_etag: _Token | None = field(name="eTag", default=None)


class RecordS3(msgspec.Struct):
    """The `s3` member of a record that announces content."""

    bucket: _Bucket
    object: _RecordObject


class EventBridgeDetail(msgspec.Struct):
    """The `detail` of an EventBridge event that announces content."""

    bucket: _Bucket
    object: _EventBridgeObject


# `object` marks members that are read only by what they may happen to hold: no type of theirs makes a record invalid.
class Record(msgspec.Struct, rename="camel"):
    """One of `Records`, or of a bare array, of any event."""

    event_name: _EventName
    event_version: str = "2"
    event_source: str = ""
    event_time: object = None
    user_identity: object = None
    s3: object = None


class EventBridgeEvent(msgspec.Struct, rename="kebab"):
    """A whole EventBridge event, of any source."""

    detail_type: _EventName
    source: str
    time: object = None
    detail: object = None


def dialect_of(source: str) -> Dialect | None:
    """The dialect of an `eventSource` ("" where there is none), or None where it is no S3 store's."""
    return _BY_SOURCE.get(source) or (_UNNAMED if source.endswith(":s3") else None)


def key_readings(text: str, dialect: Dialect, key_encoding: KeyEncoding) -> list[str]:
    """The keys that `text` can mean, likeliest first: none, one or two. Nothing is decoded twice."""
    encoded = dialect.encoded if key_encoding == "auto" else key_encoding == "url"
    readings = [_url_decoded(text), text] if encoded else [text, _url_decoded(text)]
    if dialect.certain or key_encoding != "auto":
        del readings[1]
    return list(dict.fromkeys(key for key in readings if key is not None and _is_key(key)))


def ordering_sequencer(text: str | None, dialect: Dialect) -> str | None:
    """The sequencer where it is one that orders, else None."""
    return text if text and dialect.ordered and re.fullmatch(r"[0-9A-Fa-f]{1,64}", text) else None


def _url_decoded(text: str) -> str | None:
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        return None  # nobody's encoder writes this
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        return None


def _is_key(text: str) -> bool:
    try:
        return 1 <= len(text.encode()) <= KEY_BYTES_MAX
    except UnicodeEncodeError:  # a lone surrogate
        return False
