"""Object-created notifications: one raw message of any S3 dialect becomes typed results, never an exception.

`services.intake` calls it for each Kafka record value and SQS body. It reads no object and drops no duplicate; what the
stores do differently is in `contracts.object_dialects`. The rules are those of streaming-practice.md §1.4, and
`contracts/examples/object_notifications/` has a body for each.
"""

import json
from typing import Final, Literal, NoReturn

import msgspec

from contracts import codes
from contracts.instants import parse_instant
from contracts.object_dialects import (
    AWS,
    CONTENT_UNCHANGED,
    EVENTBRIDGE,
    KEY_BYTES_MAX,
    MOTO,
    MOTO_EVENTBRIDGE,
    VERSITYGW,
    Dialect,
    EventBridgeDetail,
    EventBridgeEvent,
    KeyEncoding,
    ObjectMember,
    Record,
    RecordS3,
    dialect_of,
    key_readings,
    ordering_sequencer,
)

SNS_ENVELOPES_MAX: Final = 4
RECORDS_MAX: Final = 10_000  # thrice what fits in a Kafka record of 1 MiB: more are not notifications
_DETAIL_CHARS_MAX = 200


class ObjectCreated(msgspec.Struct, frozen=True, kw_only=True):
    """An object's content was written. `key` is what to ask the store for.

    `key_alternative` is the other reading of the same text, where the dialect leaves doubt: ask for it after a 404 of
    `key`, and only then. `version_id` is None for an unversioned object, `etag` has no quotes. `size_bytes` and
    `event_time_ms` are None where the store says nothing readable (MinIO leaves out a size of 0). `sequencer` is set
    only where it orders the events of one key (`sequencer_order`); else the store's LastModified must decide.
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
        case [*records] | {"Records": [*records]} if len(records) > RECORDS_MAX:
            return [_unreadable(codes.NOTIFICATION_RECORD_INVALID, f"more than {RECORDS_MAX} records")]
        case {"Records": [*records]}:
            return [_read_record(record, key_encoding, AWS) for record in records]
        case [*records]:
            return [_read_record(record, key_encoding, VERSITYGW) for record in records]
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


def _read_record(record: object, key_encoding: KeyEncoding, aws_means: Dialect) -> Notification:
    try:
        head = msgspec.convert(record, Record)
        name = head.event_name.removeprefix("s3:")
        if not name.startswith("ObjectCreated:") or name in CONTENT_UNCHANGED:
            return Ignored("event-not-created", name)
        if head.event_version.partition(".")[0] != "2":  # AWS: another major version has another structure
            return _unreadable(codes.NOTIFICATION_UNKNOWN_DIALECT, "the major event version is not 2")
        s3 = msgspec.convert(head.s3, RecordS3)
    except msgspec.ValidationError as error:
        return _unreadable(codes.NOTIFICATION_RECORD_INVALID, str(error))
    dialect = dialect_of(head.event_source)
    if dialect is None:
        return _unreadable(codes.NOTIFICATION_UNKNOWN_DIALECT, "the event source is not an S3 store")
    if dialect is AWS:
        dialect = _speaker(head, s3.object, aws_means)
    return _created(dialect, name, head.event_time, s3, key_encoding=key_encoding)


def _speaker(head: Record, created: ObjectMember, aws_means: Dialect) -> Dialect:
    """Who it is that says `aws:s3`: versitygw and moto say it too, and betray themselves otherwise."""
    match head.user_identity:
        case {"PrincipalId": _}:
            return VERSITYGW
        case None if created.sequencer is None and aws_means is AWS:
            return MOTO
        case _:
            return aws_means


def _read_eventbridge(message: object, key_encoding: KeyEncoding) -> Notification:
    try:
        event = msgspec.convert(message, EventBridgeEvent)
        if event.source != "aws.s3":
            return _unreadable(codes.NOTIFICATION_UNKNOWN_DIALECT, "the EventBridge source is not aws.s3")
        if event.detail_type != "Object Created":
            return Ignored("event-not-created", event.detail_type)
        detail = msgspec.convert(event.detail, EventBridgeDetail)
    except msgspec.ValidationError as error:
        return _unreadable(codes.NOTIFICATION_RECORD_INVALID, str(error))
    dialect, moto_etag = EVENTBRIDGE, detail.object.moto_etag
    if moto_etag is not None:
        dialect, detail.object.etag = MOTO_EVENTBRIDGE, moto_etag
    return _created(dialect, event.detail_type, event.time, detail, key_encoding=key_encoding)


def _created(
    dialect: Dialect, name: str, time: object, said: RecordS3 | EventBridgeDetail, *, key_encoding: KeyEncoding
) -> Notification:
    created = said.object
    readings = key_readings(created.key, dialect, key_encoding)
    if not readings:
        return _unreadable(
            codes.NOTIFICATION_RECORD_INVALID, f"the key is not 1 to {KEY_BYTES_MAX} bytes of UTF-8, well encoded"
        )
    return ObjectCreated(
        bucket=said.bucket.name,
        key=readings[0],
        key_alternative=readings[1] if len(readings) > 1 else None,
        version_id=created.version_id if created.version_id not in ("", "null") else None,
        etag=(created.etag or "").strip('"') or None,
        size_bytes=created.size,
        event_time_ms=parse_instant(time) if isinstance(time, str) else None,
        sequencer=ordering_sequencer(created.sequencer, dialect),
        dialect=dialect.name,
        event_name=name,
    )


def _unreadable(code: codes.Code, detail: str) -> Unreadable:
    return Unreadable(code.code, detail[:_DETAIL_CHARS_MAX])
