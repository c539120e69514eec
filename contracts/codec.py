"""CloudEvents 1.0 over Kafka: headers of binary mode, both modes of reading, and JSON of our own types.

Writing is always binary mode except for what users send; reading accepts both. Raises `Unreadable` with a declared
code; nothing else escapes, whatever the bytes.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, Final, TypeVar

import msgspec

from contracts import codes
from contracts.codes import Code

Headers = tuple[tuple[str, bytes], ...]
T = TypeVar("T")

SPEC_VERSION: Final = b"1.0"
_VERSION_HEADER: Final = ("ce_specversion", SPEC_VERSION)
JSON_TYPE: Final = b"application/json"
STRUCTURED_TYPE: Final = "application/cloudevents+json"

_encode = msgspec.json.Encoder().encode


class Unreadable(Exception):  # noqa: N818 - it says what the record is, as the failure tree does
    """The bytes are not what the topic carries; `code` says what is wrong with them."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code.code}: {detail}")
        self.code = code
        self.detail = detail


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event; `data` is the JSON bytes of its data, as sent."""

    id: str
    source: str
    type: str
    space_id: str | None
    subject: str | None = None
    time: str | None = None
    trace_parent: str | None = None
    data: bytes


class _Structured(msgspec.Struct, frozen=True):
    specversion: str = ""
    id: str = ""
    source: str = ""
    type: str = ""
    spaceid: str | None = None
    subject: str | None = None
    time: str | None = None
    traceparent: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


_structured = msgspec.json.Decoder(_Structured)
_decoders: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}  # of a union, making one costs more than decoding a message
# msgspec keeps what it learns of a struct while it is still learning it: two threads that each make a decoder of one
# kind end the process (0.22: a segmentation fault). Folds decode in threads.
_making: Final = Lock()


def encode(message: msgspec.Struct | dict[str, object] | list[str]) -> bytes:
    """JSON bytes."""
    return _encode(message)


def decode(data: bytes, kind: type[T]) -> T:
    """`kind` from JSON bytes; raises `Unreadable`(command-invalid)."""
    learn(kind)
    decoder = _decoders[kind]
    try:
        decoded: T = decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Unreadable(codes.COMMAND_INVALID, str(error)[:500]) from None
    return decoded


def learn(kind: Any) -> None:
    """To be called before a thread has `msgspec` convert or decode to `kind` itself."""
    if kind not in _decoders:
        with _making:
            _decoders[kind] = msgspec.json.Decoder(kind)


def event_headers(
    *,
    id: str,
    source: str,
    type: str,
    space_id: str,
    time: str,
    subject: str | None = None,
    extensions: Sequence[tuple[str, str]] = (),
) -> Headers:
    """The headers of a binary-mode event with a JSON value."""
    headers: Headers = (_VERSION_HEADER, ("ce_id", id.encode()), *_shared_headers(source, type, space_id, time))
    if subject is not None:
        headers += (("ce_subject", subject.encode()),)
    if extensions:
        headers += tuple((f"ce_{name}", value.encode()) for name, value in extensions)
    return headers


@lru_cache(maxsize=256)  # what is written of one command is of a few types, and of one instant
def _shared_headers(source: str, type: str, space_id: str, time: str) -> Headers:
    return (
        ("ce_source", source.encode()),
        ("ce_type", type.encode()),
        ("ce_spaceid", space_id.encode()),
        ("ce_time", time.encode()),
        ("content-type", JSON_TYPE),
    )


def header(headers: Sequence[tuple[str, bytes]], name: str) -> str | None:
    """The text of the first header of that name, None where it is absent or not UTF-8."""
    for key, value in headers:
        if key == name and value is not None:
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
    return None


def read_event(headers: Sequence[tuple[str, bytes]], value: bytes | None) -> CloudEvent:
    """The CloudEvent of a record in either mode; raises `Unreadable`.

    A record without any CloudEvents header is read as structured, whatever its content type: people send commands
    with tools that set none.
    """
    if value is None:
        raise Unreadable(codes.NOT_A_CLOUDEVENT, "the record has no value")
    content_type = (header(headers, "content-type") or "").lower()
    binary = any(name.startswith("ce_") for name, _ in headers) and not content_type.startswith(STRUCTURED_TYPE)
    event = _read_binary(headers, value) if binary else _read_structured(value)
    if not event.id or not event.source:
        raise Unreadable(codes.COMMAND_ID_MISSING, "id and source are required")
    return event


def _read_binary(headers: Sequence[tuple[str, bytes]], value: bytes) -> CloudEvent:
    if header(headers, "ce_specversion") != "1.0":
        raise Unreadable(codes.NOT_A_CLOUDEVENT, "ce_specversion is not 1.0")
    reject_duplicate_keys(value)
    return CloudEvent(
        id=header(headers, "ce_id") or "",
        source=header(headers, "ce_source") or "",
        type=header(headers, "ce_type") or "",
        space_id=header(headers, "ce_spaceid"),
        subject=header(headers, "ce_subject"),
        time=header(headers, "ce_time"),
        trace_parent=header(headers, "ce_traceparent") or header(headers, "traceparent"),
        data=value,
    )


def _read_structured(value: bytes) -> CloudEvent:
    reject_duplicate_keys(value)
    try:
        event = _structured.decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Unreadable(codes.NOT_A_CLOUDEVENT, str(error)[:500]) from None
    if event.specversion != "1.0":
        raise Unreadable(codes.NOT_A_CLOUDEVENT, "specversion is not 1.0")
    return CloudEvent(
        id=event.id,
        source=event.source,
        type=event.type,
        space_id=event.spaceid,
        subject=event.subject,
        time=event.time,
        trace_parent=event.traceparent,
        data=bytes(event.data),
    )


def reject_duplicate_keys(value: bytes) -> None:
    """Raises `Unreadable` where `value` is not JSON or an object in it names a key twice.

    Two readers may choose differently between twice-named keys, so such a command has no one meaning.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise Unreadable(codes.DUPLICATE_JSON_KEY, f"key {_repeated(pairs)[:64]!r} stands twice")
        return found

    def no_constant(text: str) -> object:
        raise Unreadable(codes.COMMAND_NOT_JSON, f"{text} is not JSON")

    try:
        # Decoded here, because json would also take UTF-16 and encoded surrogates, which the next reader refuses.
        json.loads(value.decode(), object_pairs_hook=once, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError
        raise Unreadable(codes.COMMAND_NOT_JSON, str(error)[:200]) from None


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("every name is different")
