"""The headers of rows and stream rows on `usher.membership.input.v1`: written by intake, read by membership."""

from collections.abc import Mapping, Sequence
from typing import Final

from contracts.codec import Headers, header
from contracts.instants import instant_text, parse_instant
from contracts.messages.steps import RowsHeader, StreamRowsHeader

_FIELDS: Final = {
    "space_id": "ce_spaceid",
    "import_id": "usher-import",
    "reading_id": "usher-reading",
    "sequence": "usher-sequence",
    "id_type": "usher-id-type",
}
_IDENTITIES_MAX: Final = "usher-identities-max"
_STREAM_FIELDS: Final = {
    "space_id": "ce_spaceid",
    "feed_id": "usher-feed",
    "topic": "usher-topic",
    "partition": "usher-partition",
    "first_offset": "usher-first-offset",
    "last_offset": "usher-last-offset",
    "id_type": "usher-id-type",
}


def write_rows_header(said: RowsHeader) -> Headers:
    """The headers of a record whose value is `encode_rows` of a batch."""
    return _written("rows", said, _FIELDS)


def read_rows_header(headers: Sequence[tuple[str, bytes]]) -> RowsHeader:
    """What the headers say; raises ValueError where one is missing or makes no sense."""
    found = _read(headers, _FIELDS)
    return RowsHeader(
        space_id=found["space_id"],
        import_id=found["import_id"],
        reading_id=found["reading_id"],
        sequence=_number(found, "sequence", _FIELDS),
        id_type=found["id_type"],
    )


def write_stream_header(said: StreamRowsHeader) -> Headers:
    """The headers of a record whose value is `encode_events` of a batch."""
    time = () if said.at_ms is None else (("ce_time", instant_text(said.at_ms).encode()),)
    most = () if said.identities_max is None else ((_IDENTITIES_MAX, str(said.identities_max).encode()),)
    return _written("stream-rows", said, _STREAM_FIELDS) + time + most


def read_stream_header(headers: Sequence[tuple[str, bytes]]) -> StreamRowsHeader:
    """What the headers say; raises ValueError where one is missing or makes no sense."""
    found = _read(headers, _STREAM_FIELDS)
    time = header(headers, "ce_time")
    at_ms = None if time is None else parse_instant(time)
    if time is not None and at_ms is None:
        raise ValueError("ce_time is no instant")
    most = header(headers, _IDENTITIES_MAX)
    if most is not None:
        found["identities_max"] = most
    return StreamRowsHeader(
        space_id=found["space_id"],
        feed_id=found["feed_id"],
        topic=found["topic"],
        partition=_number(found, "partition", _STREAM_FIELDS),
        first_offset=_number(found, "first_offset", _STREAM_FIELDS),
        last_offset=_number(found, "last_offset", _STREAM_FIELDS),
        id_type=found["id_type"],
        at_ms=at_ms,
        identities_max=None if most is None else _number(found, "identities_max", {"identities_max": _IDENTITIES_MAX}),
    )


def _written(kind: str, said: RowsHeader | StreamRowsHeader, fields: Mapping[str, str]) -> Headers:
    written = ((name, str(getattr(said, field)).encode()) for field, name in fields.items())
    return (("ce_type", kind.encode()), *written)


def _read(headers: Sequence[tuple[str, bytes]], fields: Mapping[str, str]) -> dict[str, str]:
    found = {field: header(headers, name) or "" for field, name in fields.items()}
    missing = [fields[field] for field, value in found.items() if not value]
    if missing:
        raise ValueError(f"rows without {', '.join(missing)}")
    return found


def _number(found: Mapping[str, str], field: str, fields: Mapping[str, str]) -> int:
    text = found[field]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"{fields[field]} is not a number")
    return int(text)
