"""What intake writes for control and membership, with the headers and partitions that the topics want."""

from typing import Final

from contracts import codec
from contracts.catalog import INPUT, INTAKE_EVENTS
from contracts.ids import made_id
from contracts.instants import instant_text
from contracts.messages.intake import (
    IntakeEvent,
    ObjectAnnounced,
    ReadingFailed,
    ReadingFinished,
    ReadingProgress,
    ReadRequest,
)
from contracts.messages.steps import RowsHeader, Seal, StreamRowsHeader
from contracts.partitioning import space_partition
from contracts.raw_ids import kept_id_type
from contracts.records import Out
from services.domain.intake.reading import EncodedRows
from services.domain.rows import write_rows_header, write_stream_header

SOURCE: Final = "/usher/intake"
SERVICE: Final = "intake"


def announcement(said: ObjectAnnounced, *, partitions: int) -> Out:
    """To control, by watch. The id is the same each time the same version is announced for the same event."""
    version = said.object
    which = (version.version_id or "", version.etag or "", version.last_modified_ms or 0, said.event_time_ms)
    event_id = made_id("ann", said.space_id, said.feed_id, version.bucket, version.key, *which)
    return _to_control(said, "object-announced", event_id, said.event_time_ms, partitions)


def reading_ended(said: ReadingFinished | ReadingFailed, *, reading_id: str, now_ms: int, partitions: int) -> Out:
    """To control, by read."""
    kind = "reading-finished" if isinstance(said, ReadingFinished) else "reading-failed"
    return _to_control(said, kind, reading_id, now_ms, partitions)


def progress(said: ReadingProgress, *, reading_id: str, now_ms: int, partitions: int) -> Out:
    """To control, by read, at times."""
    return _to_control(said, "reading-progress", f"{reading_id}.{said.read_bytes}", now_ms, partitions)


def rows(request: ReadRequest, reading_id: str, batch: EncodedRows) -> Out:
    """To membership: one batch."""
    header = RowsHeader(
        space_id=request.space_id,
        import_id=request.import_id,
        reading_id=reading_id,
        sequence=batch.sequence,
        id_type=kept_id_type(request.id_type),
    )
    return Out(INPUT, request.space_id.encode(), batch.value, write_rows_header(header), batch.partition)


def stream_rows(header: StreamRowsHeader, value: bytes, partition: int) -> Out:
    """To membership: events of a topic feed. They have no id but their offsets: they may come again, cut otherwise."""
    return Out(INPUT, header.space_id.encode(), value, write_stream_header(header), partition)


def seal(said: Seal, *, partition: int, now_ms: int) -> Out:
    """To membership: that was all for this partition."""
    headers = codec.event_headers(
        id=f"{said.reading_id}.{partition}",
        source=SOURCE,
        type="seal",
        space_id=said.space_id,
        time=instant_text(now_ms),
        subject=said.import_id,
    )
    return Out(INPUT, said.space_id.encode(), codec.encode(said), headers, partition)


def _to_control(said: IntakeEvent, kind: str, event_id: str, at_ms: int, partitions: int) -> Out:
    headers = codec.event_headers(
        id=event_id, source=SOURCE, type=kind, space_id=said.space_id, time=instant_text(at_ms)
    )
    home = space_partition(said.space_id, partitions)
    return Out(INTAKE_EVENTS, said.space_id.encode(), codec.encode(said), headers, home)
