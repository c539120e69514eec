"""Object-created notifications: one raw message of any S3 dialect becomes typed results, never an exception.

Owns the dialects: who encodes keys and how, whose sequencer can order, which events make content. Pure; it reads no
object and drops no duplicate: `services.intake.watch` calls it for each Kafka record value or SQS body. The rules are
those of streaming-practice.md §1.4; `contracts/examples/object_notifications/` has one body for each.
"""

import json
import re
from typing import Annotated, Final, Literal, NamedTuple, NoReturn
from urllib.parse import unquote_plus

import msgspec
from msgspec import Meta

from contracts import codes
from contracts.instants import parse_instant

KEY_BYTES_MAX: Final = 1024
SNS_ENVELOPES_MAX: Final = 4
_DETAIL_CHARS_MAX = 200

KeyEncoding = Literal["auto", "url", "raw"]


class ObjectCreated(msgspec.Struct, frozen=True, kw_only=True):
    """An object's content was written. `key` is what to ask the store for.

    `key_alternative` is the other reading of the same text, where the dialect leaves doubt: ask for it after a 404 of
    `key`, and only then. `version_id` is None for an unversioned object, `etag` has no quotes. `sequencer` is
    set only where it orders the events of one key (`sequencer_order`); else the store's LastModified must decide.
    """

    bucket: str
    key: str
    key_alternative: str | None
    version_id: str | None
    etag: str | None
    size_bytes: int | None
    event_time_ms: int | None
    sequencer: str | None
    dialect: str
    event_name: str


class Ignored(msgspec.Struct, frozen=True):
    """Read and understood, and nothing to do."""

    reason: Literal["test-event", "event-not-created", "empty-records"]
    event_name: str


class Unreadable(msgspec.Struct, frozen=True):
    """Not understood. `code` is declared in `contracts.codes`; `detail` is bounded and holds no key."""

    code: str
    detail: str


Notification = ObjectCreated | Ignored | Unreadable


def read_notification(body: bytes, *, key_encoding: KeyEncoding = "auto") -> list[Notification]:
    """One result for each record of the message, in its order; at least one, and no exception for any bytes.

    `key_encoding` is the operator's word where a store's own habit is known: "url" (percent, and `+` for space) or
    "raw" give exactly one reading; "auto" follows the dialect.
    """
    try:
        return _read_text(body.decode(), key_encoding, SNS_ENVELOPES_MAX)
    except UnicodeDecodeError as error:
        return [_unreadable(codes.NOTIFICATION_NOT_JSON, f"not UTF-8 at byte {error.start}")]


def sequencer_order(a: str, b: str) -> int:
    """Negative, 0 or positive as `a` is earlier than, same as or later than `b`, for two events of ONE key.

    AWS: pad the shorter with zeros on the right, then compare as text. Case carries no meaning in hex. 0 says nothing
    about which content is newer.
    """
    digits = max(len(a), len(b))
    left, right = (text.lower().ljust(digits, "0") for text in (a, b))
    return (left > right) - (left < right)


class _Dialect(NamedTuple):
    name: str
    encoded: bool  # its keys are URL-encoded, with + for space
    certain: bool  # and there is no doubt about that
    ordered: bool  # its sequencer orders the events of one key


# Certain is what carries a mark of its own and was measured or read in the source. `aws:s3` is also what imitators
# write, and some of them do not encode; for Ceph and StorageGRID the encoding is not documented.
# Ordered is AWS's promise, which StorageGRID repeats. MinIO's is a clock of each node (its maintainers: it cannot order),
# Ceph's is the memory of a little-endian struct in hex, versitygw's a counter that restarts with the process.
_AWS = _Dialect("aws", encoded=True, certain=False, ordered=True)
_EVENTBRIDGE = _Dialect("eventbridge", encoded=False, certain=True, ordered=True)
_EVENTBRIDGE_MOTO = _Dialect("moto", encoded=False, certain=True, ordered=False)  # one constant sequencer
_MOTO = _Dialect("moto", encoded=True, certain=False, ordered=False)
_VERSITYGW = _Dialect("versitygw", encoded=False, certain=True, ordered=False)
_UNNAMED = _Dialect("s3-compatible", encoded=True, certain=False, ordered=False)
_BY_SOURCE: Final = {
    "aws:s3": _AWS,
    "ceph:s3": _Dialect("ceph", encoded=False, certain=False, ordered=False),
    "minio:s3": _Dialect("minio", encoded=True, certain=True, ordered=False),
    "sgws:s3": _Dialect("storagegrid", encoded=True, certain=False, ordered=True),
}
# MinIO names these ObjectCreated too, though they leave the content as it was: a tag on last year's file is no new file.
_CONTENT_UNCHANGED: Final = frozenset(
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


class _Object(msgspec.Struct, kw_only=True):
    key: str
    size: _SizeBytes | None = None
    etag: _Token | None = None
    version_id: _Token | None = None
    sequencer: _Token | None = None


class _RecordObject(_Object, rename={"etag": "eTag", "version_id": "versionId"}):
    pass


class _EventBridgeObject(_Object, rename={"version_id": "version-id", "moto_etag": "eTag"}):
    moto_etag: _Token | None = None


class _S3(msgspec.Struct):
    bucket: _Bucket
    object: _RecordObject


class _Detail(msgspec.Struct):
    bucket: _Bucket
    object: _EventBridgeObject


# `object` marks members that are read only by what they may happen to hold: no type of theirs makes a record invalid.
class _Record(msgspec.Struct, rename="camel"):
    event_name: _EventName
    event_version: str = "2"
    event_source: str = ""
    event_time: object = None
    user_identity: object = None
    s3: object = None


class _EventBridgeEvent(msgspec.Struct, rename="kebab"):
    detail_type: _EventName
    source: str
    time: object = None
    detail: object = None


class RepeatedMember:
    """Stands for a JSON object that names a member twice: whichever were read would be a guess."""


class OversizedInteger:
    """Stands for an integer of 20 digits or more, which no size has."""


def _json_object(pairs: list[tuple[str, object]]) -> dict[str, object] | RepeatedMember:
    members = dict(pairs)
    return members if len(members) == len(pairs) else RepeatedMember()


def _json_integer(digits: str) -> int | OversizedInteger:
    return int(digits) if len(digits) < 20 else OversizedInteger()


def _json_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# The standard decoder, because no faster one tells of repeated members; stand-ins spoil only the record they are in.
_JSON = json.JSONDecoder(object_pairs_hook=_json_object, parse_int=_json_integer, parse_constant=_json_constant)


def _read_text(text: str, key_encoding: KeyEncoding, envelopes_left: int) -> list[Notification]:
    try:
        message: object = _JSON.decode(text)
    except RecursionError:
        return [_unreadable(codes.NOTIFICATION_NOT_JSON, "nested too deeply")]
    except ValueError as error:
        return [_unreadable(codes.NOTIFICATION_NOT_JSON, str(error))]
    match message:
        case [] | {"Records": []}:
            return [Ignored("empty-records", "")]
        case {"Records": [*records]}:
            return [_read_record(record, key_encoding, _AWS) for record in records]
        case [*records]:
            return [_read_record(record, key_encoding, _VERSITYGW) for record in records]
        case {"detail-type": _}:
            return [_read_eventbridge(message, key_encoding)]
        case {"Event": "s3:TestEvent"}:
            return [Ignored("test-event", "TestEvent")]
        case {"Type": "Notification", "Message": str(inner)} if envelopes_left:
            return _read_text(inner, key_encoding, envelopes_left - 1)
        case {"Type": "Notification", "Message": str()}:
            return [_unreadable(codes.NOTIFICATION_UNKNOWN_DIALECT, "too many SNS envelopes")]
        case {"Type": "SubscriptionConfirmation"}:
            return [_unreadable(codes.NOTIFICATION_UNKNOWN_DIALECT, "an SNS subscription waits for confirmation")]
        case RepeatedMember():
            return [_unreadable(codes.NOTIFICATION_NOT_JSON, "the message names a member twice")]
        case _:
            return [_unreadable(codes.NOTIFICATION_UNKNOWN_DIALECT, "no Records, EventBridge, SNS or test event")]


def _read_record(record: object, key_encoding: KeyEncoding, aws_means: _Dialect) -> Notification:
    try:
        head = msgspec.convert(record, _Record)
        name = head.event_name.removeprefix("s3:")
        if not name.startswith("ObjectCreated:") or name in _CONTENT_UNCHANGED:
            return Ignored("event-not-created", name)
        if head.event_version.partition(".")[0] != "2":  # AWS: another major version has another structure
            return _unreadable(codes.NOTIFICATION_UNKNOWN_DIALECT, "the major event version is not 2")
        s3 = msgspec.convert(head.s3, _S3)
    except msgspec.ValidationError as error:
        return _unreadable(codes.NOTIFICATION_RECORD_INVALID, str(error))
    dialect = _dialect_of(head, s3.object, aws_means)
    if dialect is None:
        return _unreadable(codes.NOTIFICATION_UNKNOWN_DIALECT, "the event source is not an S3 store")
    return _created(dialect, name, head.event_time, s3.bucket, s3.object, key_encoding)


def _dialect_of(head: _Record, created: _Object, aws_means: _Dialect) -> _Dialect | None:
    dialect = _BY_SOURCE.get(head.event_source)
    if dialect is None:
        return _UNNAMED if head.event_source.endswith(":s3") or not head.event_source else None
    if dialect is not _AWS:
        return dialect
    match head.user_identity:  # what else betrays those who say that they are AWS
        case {"PrincipalId": _}:
            return _VERSITYGW
        case None if created.sequencer is None:
            return _MOTO
    return aws_means


def _read_eventbridge(message: object, key_encoding: KeyEncoding) -> Notification:
    try:
        event = msgspec.convert(message, _EventBridgeEvent)
        if event.source != "aws.s3":
            return _unreadable(codes.NOTIFICATION_UNKNOWN_DIALECT, "the EventBridge source is not aws.s3")
        if event.detail_type != "Object Created":
            return Ignored("event-not-created", event.detail_type)
        detail = msgspec.convert(event.detail, _Detail)
    except msgspec.ValidationError as error:
        return _unreadable(codes.NOTIFICATION_RECORD_INVALID, str(error))
    created, dialect = detail.object, _EVENTBRIDGE
    if created.etag is None and created.moto_etag is not None:
        created.etag, dialect = created.moto_etag, _EVENTBRIDGE_MOTO
    return _created(dialect, event.detail_type, event.time, detail.bucket, created, key_encoding)


def _created(
    dialect: _Dialect, name: str, time: object, bucket: _Bucket, created: _Object, key_encoding: KeyEncoding
) -> Notification:
    readings = _key_readings(created.key, dialect, key_encoding)
    if not readings:
        return _unreadable(
            codes.NOTIFICATION_RECORD_INVALID, f"the key is not 1 to {KEY_BYTES_MAX} bytes of UTF-8, well encoded"
        )
    sequencer = created.sequencer or ""
    return ObjectCreated(
        bucket=bucket.name,
        key=readings[0],
        key_alternative=readings[1] if len(readings) > 1 else None,
        version_id=created.version_id if created.version_id not in ("", "null") else None,
        etag=(created.etag or "").strip('"') or None,
        size_bytes=created.size,
        event_time_ms=parse_instant(time) if isinstance(time, str) else None,
        sequencer=sequencer if dialect.ordered and re.fullmatch(r"[0-9A-Fa-f]{1,64}", sequencer) else None,
        dialect=dialect.name,
        event_name=name,
    )


def _key_readings(text: str, dialect: _Dialect, key_encoding: KeyEncoding) -> list[str]:
    """The keys that `text` can mean, likeliest first; each decodes at most once."""
    encoded = dialect.encoded if key_encoding == "auto" else key_encoding == "url"
    readings = [_url_decoded(text), text] if encoded else [text, _url_decoded(text)]
    if dialect.certain or key_encoding != "auto":
        del readings[1]
    return list(dict.fromkeys(key for key in readings if key is not None and _is_key(key)))


def _url_decoded(text: str) -> str | None:
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        return None  # nobody's encoder writes this: the text is raw
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        return None


def _is_key(text: str) -> bool:
    try:
        return 1 <= len(text.encode()) <= KEY_BYTES_MAX
    except UnicodeEncodeError:  # a lone surrogate
        return False


def _unreadable(code: codes.Code, detail: str) -> Unreadable:
    return Unreadable(code.code, detail[:_DETAIL_CHARS_MAX])
