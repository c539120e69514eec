"""From a record of `usher.commands.v1` to a command, or to the reason why it is none."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Final, NoReturn

import msgspec

from contracts import codec, codes
from contracts.codec import CloudEvent
from contracts.codes import Code
from contracts.ids import made_id
from contracts.messages.commands import IDENTIFIERS_MAX, ITEM_TYPES, ITEMS_MAX, NOT_SUPPORTED_YET, VERIFICATIONS_MAX
from contracts.records import Record

_TRACE: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_ATTRIBUTE_CHARS_MAX: Final = 256
SEARCHES_MAX: Final = 20  # of 500 entities each: what a reply holds
STATISTICS_MAX: Final = 100  # each is a step, and its reply waits in state until all partitions have answered
COMMAND_BYTES_MAX: Final = (16 << 20) - 4_096  # so that it can be written once more, should it have to be forwarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that was understood. `remembered_id` stands for (source, id), `digest` for its bytes.

    `topic` is where it came by, `sent_ms` the timestamp of its record.
    """

    topic: str
    space_id: str
    source: str
    id: str
    type: str
    items: list[object]
    validate_only: bool
    unknown: tuple[str, ...]
    remembered_id: str
    digest: str
    trace_id: str
    sent_ms: int


class Refused(Exception):  # noqa: N818 - named for what became of the command
    """Nothing of it was understood: its reply is `rejected`, and it goes to dead letters."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code.code}: {detail}")
        self.code = code
        self.detail = detail


class _Data(msgspec.Struct, frozen=True):
    items: list[object]
    validate_only: bool = False


class _Loose(msgspec.Struct, frozen=True):
    """What can be had of a command that is none: enough to answer whoever sent it."""

    id: object = None
    source: object = None
    type: object = None
    spaceid: object = None
    traceparent: object = None


_decode_data: Final = msgspec.json.Decoder(_Data).decode
_decode_loose: Final = msgspec.json.Decoder(_Loose).decode


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom an answer can be sent to, as far as the record says it; `trace_id` is the same whenever it comes again."""

    space_id: str | None
    command_id: str
    command_type: str
    trace_id: str


def read_envelope(record: Record) -> CloudEvent:
    """The event with its space; raises `Refused`. The record's key is the space id, and an absent one is no word.

    A record may be larger than what its topic takes: the limit counts a batch as its sender compressed it.
    """
    heads_bytes = sum(len(name) + len(text or b"") for name, text in record.headers)
    if len(record.value or b"") + len(record.key or b"") + heads_bytes > COMMAND_BYTES_MAX:
        raise Refused(codes.COMMAND_TOO_LARGE, f"more than {COMMAND_BYTES_MAX} bytes with its headers")
    try:
        event = codec.read_event(record.headers, record.value)
    except codec.Unreadable as error:
        raise Refused(error.code, error.detail) from None
    key = _text(record.key)
    space_id = event.space_id or key
    if space_id is None:
        raise Refused(codes.COMMAND_INVALID, "neither spaceid nor the record's key names a space")
    if record.key and key != space_id:
        raise Refused(codes.SPACE_MISMATCH, "the record's key and spaceid name different spaces")
    for name, value in (("id", event.id), ("source", event.source), ("type", event.type), ("spaceid", space_id)):
        if len(value) > _ATTRIBUTE_CHARS_MAX:
            raise Refused(codes.COMMAND_INVALID, f"{name} has more than {_ATTRIBUTE_CHARS_MAX} characters")
    return msgspec.structs.replace(event, space_id=space_id)


def read_command(record: Record, event: CloudEvent) -> Command:
    """The command of an event; raises `Refused`(command-type-unknown, command-invalid, command-too-large)."""
    assert event.space_id is not None
    assert record.value is not None
    known = event.type in ITEM_TYPES
    if not known and event.type not in NOT_SUPPORTED_YET:
        raise Refused(codes.COMMAND_TYPE_UNKNOWN, f"type {event.type[:64]!r}")
    data, unknown = _data(event.type, event.data) if known else _unsupported_data(event.data)
    _check_size(event.type, data)
    digest = hashlib.sha256(event.type.encode() + b"\n" + record.value).hexdigest()[:32]
    remembered_id = made_id("cmd", event.source, event.id)
    return Command(
        topic=record.topic,
        space_id=event.space_id,
        source=event.source,
        id=event.id,
        type=event.type,
        items=data.items,
        validate_only=data.validate_only,
        unknown=unknown,
        remembered_id=remembered_id,
        digest=digest,
        trace_id=trace_id(event.trace_parent, event.space_id, event.source, event.id),
        sent_ms=record.timestamp_ms,
    )


def addressee(record: Record) -> Addressee:
    """Whom to answer, whatever the record is: never raises."""
    loose = _loose(record.value or b"")
    space_id = _text(record.key) or _said(record, "spaceid", loose.spaceid)
    source, command_id = _said(record, "source", loose.source), _said(record, "id", loose.id)
    named = (space_id or "", source, command_id) if source and command_id else None
    return Addressee(
        space_id=space_id if space_id is not None and len(space_id) <= _ATTRIBUTE_CHARS_MAX else None,
        command_id=command_id or "",
        command_type=_said(record, "type", loose.type) or "command",
        trace_id=trace_id(
            _said(record, "traceparent", loose.traceparent) or codec.header(record.headers, "traceparent"),
            *(named or (record.topic, record.partition, record.offset)),
        ),
    )


def _loose(value: bytes) -> _Loose:
    """What can be had of it; what no JSON is allowed to say (Infinity, half a surrogate pair) spoils no more."""
    for decode in (_decode_loose, _decode_loosely):
        try:
            return decode(value)
        except (ValueError, RecursionError):
            continue
    return _Loose()


def _decode_loosely(value: bytes) -> _Loose:
    return msgspec.convert(json.loads(value), _Loose)


def trace_id(trace_parent: str | None, *parts: str | int) -> str:
    """The trace that the sender is in, else one of our own making."""
    match = _TRACE.fullmatch(trace_parent or "")
    if match is not None:
        return match.group(1)
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]


def _data(command_type: str, data: bytes) -> tuple[_Data, tuple[str, ...]]:
    try:
        raw = msgspec.json.decode(data)
        read = msgspec.convert(raw, _Data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        _refuse_data(str(error)[:200])
    if not read.items:
        _refuse_data("items is empty")
    unknown = sorted(name for name in raw if name not in _Data.__struct_fields__)
    if "operation" in unknown and command_type.startswith("members."):  # it might say the opposite of the type
        _refuse_data("operation stands in the command's type; an item may repeat it")
    return read, tuple(unknown)


def _unsupported_data(data: bytes) -> tuple[_Data, tuple[str, ...]]:
    """Of a type that is not built yet nobody knows the form: whatever was sent is one item, or its items."""
    try:
        return _decode_data(data), ()
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _Data(items=[]), ()


def _check_size(command_type: str, data: _Data) -> None:
    if len(data.items) > ITEMS_MAX:
        raise Refused(codes.COMMAND_TOO_LARGE, f"{len(data.items)} items, at most {ITEMS_MAX}")
    if command_type == "spaces.create" and len(data.items) != 1:
        _refuse_data("spaces.create takes exactly one item: the space is the command's spaceid")
    if command_type.endswith(".search") and len(data.items) > SEARCHES_MAX:
        raise Refused(codes.COMMAND_TOO_LARGE, f"{len(data.items)} searches, at most {SEARCHES_MAX}")
    if command_type == "destinations.verify" and len(data.items) > VERIFICATIONS_MAX:
        raise Refused(codes.COMMAND_TOO_LARGE, f"{len(data.items)} destinations, at most {VERIFICATIONS_MAX}")
    if command_type.endswith(".statistics") and len(data.items) > STATISTICS_MAX:
        raise Refused(codes.COMMAND_TOO_LARGE, f"{len(data.items)} lists, at most {STATISTICS_MAX}")
    if command_type.startswith("members."):
        lists = [item.get("identifiers") for item in data.items if isinstance(item, dict)]
        identifiers = sum(len(one) for one in lists if isinstance(one, list))
        if identifiers > IDENTIFIERS_MAX:
            raise Refused(codes.COMMAND_TOO_LARGE, f"{identifiers} identifiers, at most {IDENTIFIERS_MAX}")


def _refuse_data(detail: str) -> NoReturn:
    raise Refused(codes.COMMAND_INVALID, f"data: {detail}") from None


def _text(key: bytes | None) -> str | None:
    try:
        return key.decode() if key else None
    except UnicodeDecodeError:
        return None


def _said(record: Record, attribute: str, loose: object) -> str | None:
    return _word(codec.header(record.headers, f"ce_{attribute}")) or _word(loose)


def _word(value: object) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= _ATTRIBUTE_CHARS_MAX:
        return None
    return None if any("\ud800" <= one <= "\udfff" for one in value) else value
