"""The life of an object's import from its announcement to its last attempt (architecture.md §1)."""

from typing import Final

import msgspec

from contracts import codes
from contracts.codes import Code
from contracts.ids import made_id
from contracts.instants import day_of, parse_day
from contracts.messages.control_state import InFlight, SeenObject
from contracts.messages.entities import Feed
from contracts.messages.intake import ObjectAnnounced, ObjectVersion, ReadRequest
from contracts.messages.published import Import, Reason
from contracts.messages.steps import ImportAbortStep, ImportOpenStep
from services.domain.control.turn import Turn

_DAY_SHAPE: Final = "0000-00-00"


def announced(turn: Turn, event: ObjectAnnounced, feed: Feed) -> None:
    """An object version that the feed reads: a duplicate, unreadable, or opened and asked for."""
    object_id = _object_id(event.object)
    seen = turn.state.objects.get(object_id)
    if seen is not None and not seen.again:
        _duplicate(turn, event, feed, seen)
        return
    number = 1 if seen is None else seen.announcements + 1
    record = _record(turn, event, feed, _import_id(turn, event.object, number))
    turn.effects.import_record(record)
    day = _day(turn, event, feed)
    if event.code is not None:
        end(
            turn, record, "superseded" if event.code == codes.OBJECT_OVERWRITTEN.code else "failed", _reason(event.code)
        )
    elif day is None:
        end(turn, record, "failed", _reason(codes.DAY_INVALID.code))
    else:
        _see(turn, object_id, record.import_id, number)
        _open(turn, event, feed, msgspec.structs.replace(record, day=day), object_id)


def request(turn: Turn, flight: InFlight, attempt: int) -> None:
    """Asks for a reading, to be done by the deadline."""
    assert flight.request is not None
    asked = msgspec.structs.replace(flight.request, attempt=attempt)
    turn.effects.read_request(asked, turn.at)
    record = msgspec.structs.replace(flight.record, state="reading", attempt=attempt, updated_at=turn.at)
    turn.effects.import_record(record)
    deadline_ms = turn.now_ms + turn.config.reading_deadline_ms
    keep(turn, flight, record=record, request=asked, retry_ms=None, deadline_ms=deadline_ms)


def attempt_failed(turn: Turn, flight: InFlight, code: str, detail: str, *, retryable: bool) -> None:
    """Another attempt after a delay, or the end of the import."""
    attempt = flight.record.attempt
    if retryable and attempt < turn.config.attempts_max:
        delays = turn.config.retry_delays_ms
        retry_ms = turn.now_ms + delays[min(attempt, len(delays)) - 1]
        keep(turn, flight, retry_ms=retry_ms, deadline_ms=None)
        return
    declared = codes.ALL.get(code)
    if declared is not None and (declared.retryable or declared.actor == codes.OPERATOR):
        _see_again(turn, flight)
    state = "superseded" if code == codes.OBJECT_OVERWRITTEN.code else "failed"
    abort(turn, flight, state, Reason(code=code, detail=detail))


def abort(turn: Turn, flight: InFlight, state: str, error: Reason) -> None:
    """It will never be applied: membership forgets what it holds of it."""
    step = turn.next_step()
    turn.effects.step(ImportAbortStep(space_id=turn.space_id, step=step, at_ms=turn.at_ms, import_id=flight.id))
    turn.state.imports.drop(flight.id)
    end(turn, flight.record, state, error)


def overdue(turn: Turn) -> None:
    """Asks again where a delay has passed, and gives up attempts that are late."""
    for flight in turn.state.imports:
        if flight.retry_ms is not None and flight.retry_ms <= turn.now_ms:
            request(turn, flight, flight.record.attempt + 1)
        elif flight.deadline_ms is not None and flight.deadline_ms <= turn.now_ms:
            detail = f"attempt {flight.record.attempt} was not staged everywhere in time"
            attempt_failed(turn, flight, codes.READING_LATE.code, detail, retryable=True)


def keep(turn: Turn, flight: InFlight, **fields: object) -> InFlight:
    """The import goes on in this form."""
    flight = msgspec.structs.replace(flight, **fields)
    times = (flight.retry_ms, flight.deadline_ms, flight.ready, flight.applying)
    assert sum(one is not None for one in times) == 1, "an import waits for exactly one thing"
    turn.state.imports.put(flight.id, flight)
    return flight


def end(turn: Turn, record: Import, state: str, error: Reason | None) -> None:
    """The import's last record."""
    turn.effects.import_record(msgspec.structs.replace(record, state=state, error=error, updated_at=turn.at))


def _object_id(version: ObjectVersion) -> str:
    return made_id("obj", *_version_parts(version))


def _import_id(turn: Turn, version: ObjectVersion, number: int) -> str:
    parts = _version_parts(version)
    return made_id("imp", turn.space_id, *parts) if number == 1 else made_id("imp", turn.space_id, *parts, number)


def _version_parts(version: ObjectVersion) -> tuple[str | int, ...]:
    """S3 gives the version id `null` where a bucket keeps no versions: it says nothing then."""
    if version.version_id and version.version_id != "null":
        return version.bucket, version.key, "version", version.version_id
    return version.bucket, version.key, "etag", version.etag or "", version.last_modified_ms or 0


def _record(turn: Turn, event: ObjectAnnounced, feed: Feed, import_id: str) -> Import:
    return Import(
        space_id=turn.space_id,
        import_id=import_id,
        feed_id=feed.feed_id,
        object=event.object,
        mode=feed.mode,
        state="announced",
        announced_at=turn.at,
        updated_at=turn.at,
    )


def _duplicate(turn: Turn, event: ObjectAnnounced, feed: Feed, seen: SeenObject) -> None:
    number = seen.announcements + 1
    turn.state.objects.put(seen.id, msgspec.structs.replace(seen, announcements=number))
    record = _record(turn, event, feed, _import_id(turn, event.object, number))
    detail = f"the object version of import {seen.import_id}"
    end(turn, record, "duplicate", Reason(code=codes.OBJECT_DUPLICATE.code, detail=detail))


def _see(turn: Turn, object_id: str, import_id: str, number: int) -> None:
    objects, config = turn.state.objects, turn.config
    while (oldest := objects.oldest()) is not None and (
        oldest.at_ms < turn.now_ms - config.objects_keep_ms or len(objects) >= config.objects_max
    ):
        objects.drop(oldest.id)
    objects.drop(object_id)  # so that it counts as the newest
    entry = SeenObject(
        space_id=turn.space_id,
        id=object_id,
        import_id=import_id,
        announcements=number,
        at_ms=turn.now_ms,
        sequence=turn.state.take_sequence(),
    )
    objects.put(object_id, entry)


def _see_again(turn: Turn, flight: InFlight) -> None:
    """What failed for no fault of the object may be announced again by whoever has mended it."""
    seen = turn.state.objects.get(flight.object_id or "")
    if seen is not None and seen.import_id == flight.id:
        turn.state.objects.put(seen.id, msgspec.structs.replace(seen, again=True))


def _day(turn: Turn, event: ObjectAnnounced, feed: Feed) -> str | None:
    """The first folder after the prefix that looks like a date, else the date of the event; None: no such date."""
    prefix = feed.source.prefix or ""
    for folder in event.object.key.removeprefix(prefix).split("/")[:-1]:
        if len(folder) == len(_DAY_SHAPE) and all(
            one.isascii() and one.isdigit() if shape == "0" else one == shape
            for one, shape in zip(folder, _DAY_SHAPE, strict=True)
        ):
            return folder if parse_day(folder) is not None else None
    return day_of(turn.at_ms if turn.state.is_manual else event.event_time_ms)


def _reason(code: str) -> Reason:
    declared: Code | None = codes.ALL.get(code)
    return Reason(code=code, detail=declared.title if declared is not None else code)


def _open(turn: Turn, event: ObjectAnnounced, feed: Feed, record: Import, object_id: str) -> None:
    step = turn.next_step()
    day = record.day
    assert day is not None
    opened = ImportOpenStep(
        space_id=turn.space_id,
        step=step,
        at_ms=turn.at_ms,
        import_id=record.import_id,
        feed_id=feed.feed_id,
        mode=feed.mode,
        day=day,
        event_time_ms=event.event_time_ms,
        object_key=event.object.key,
        sequencer=event.sequencer,
        lookback_days=feed.lookback_days if feed.mode == "append" else None,
        id_type=feed.id_type,
    )
    turn.effects.step(opened)
    asked = ReadRequest(
        space_id=turn.space_id,
        import_id=record.import_id,
        attempt=0,
        object=event.object,
        feed_id=feed.feed_id,
        prefix=feed.source.prefix or "",
        mode=feed.mode,
        id_type=feed.id_type,
        format=feed.format,
        columns=feed.columns,
        audience_from=feed.audience_from,
        open_step=step,
    )
    flight = InFlight(
        space_id=turn.space_id,
        id=record.import_id,
        record=msgspec.structs.replace(record, step=step),
        request=asked,
        object_id=object_id,
        opened=opened,
        remove_share_max=feed.remove_share_max,
    )
    request(turn, flight, 1)
