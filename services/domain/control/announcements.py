"""An announced object becomes an import: a duplicate, one that can't be, one that waits, or one that is opened."""

from typing import Final

import msgspec

from contracts import codes
from contracts.codes import Code
from contracts.ids import made_id
from contracts.instants import day_of, parse_day
from contracts.messages.control_state import InFlight, SeenObject
from contracts.messages.entities import Feed, Marker
from contracts.messages.intake import ObjectAnnounced, ObjectVersion, ReadRequest
from contracts.messages.published import Import, Reason
from contracts.messages.steps import ImportOpenStep
from contracts.raw_ids import kept_id_type
from services.domain.control.imports import end, open_
from services.domain.control.quotas import quotas
from services.domain.control.schedule import hour_of
from services.domain.control.sets import collect
from services.domain.control.turn import Turn
from services.domain.control.versions import object_id, version_parts
from services.domain.control.waiting import wait_for_hour

_DAY_SHAPE: Final = "0000-00-00"


def announced(turn: Turn, event: ObjectAnnounced, feed: Feed) -> None:
    """An object version that the feed reads."""
    seen_id = object_id(event.object)
    seen = turn.state.objects.get(seen_id)
    if event.reconciled and (seen is not None or _may_be_forgotten(turn, event.object)):
        return
    if seen is not None and not seen.again:
        _duplicate(turn, event, feed, seen)
        return
    number = 1 if seen is None else seen.announcements + 1
    record = _record(turn, event, feed, _import_id(turn, event.object, number))
    day = _day(turn, event, feed)
    is_set = isinstance(feed.complete_on, Marker)
    if event.code == codes.OBJECT_OVERWRITTEN.code:
        _fail(turn, record, "superseded", event.code)
    elif event.code is not None and not is_set:
        _fail(turn, record, "failed", event.code)
    elif day is None:
        _fail(turn, record, "failed", codes.DAY_INVALID.code)
    elif not is_set and len(turn.state.imports) >= quotas(turn).imports:
        _fail(turn, record, "failed", codes.IMPORTS_TOO_MANY.code)
    else:
        flight = _flight(turn, event, feed, msgspec.structs.replace(record, day=day))
        if is_set:
            import_id = collect(turn, event, feed, flight)
            if event.code is None:
                _see(turn, seen_id, import_id, number)
            return
        _see(turn, seen_id, flight.id, number)
        turn.effects.import_record(record)
        flight = msgspec.structs.replace(flight, object_ids=[seen_id])
        if feed.process_at is None:
            open_(turn, flight)
        else:
            wait_for_hour(turn, flight, hour_of(feed.process_at))


def _import_id(turn: Turn, version: ObjectVersion, number: int) -> str:
    parts = version_parts(version)
    return made_id("imp", turn.space_id, *parts) if number == 1 else made_id("imp", turn.space_id, *parts, number)


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


def _may_be_forgotten(turn: Turn, version: ObjectVersion) -> bool:
    """Whether the version is so old that it may have been imported and forgotten: what is forgotten are the oldest."""
    objects, config = turn.state.objects, turn.config
    since_ms = turn.now_ms - config.objects_keep_ms
    if len(objects) >= config.objects_max and (oldest := objects.oldest()) is not None:
        since_ms = max(since_ms, oldest.at_ms)
    return version.last_modified_ms is None or version.last_modified_ms < since_ms


def _see(turn: Turn, seen_id: str, import_id: str, number: int) -> None:
    objects, config = turn.state.objects, turn.config
    objects.drop(seen_id)  # so that it counts as the newest
    while (oldest := objects.oldest()) is not None and (
        oldest.at_ms < turn.now_ms - config.objects_keep_ms or len(objects) >= config.objects_max
    ):
        objects.drop(oldest.id)
    entry = SeenObject(
        space_id=turn.space_id,
        id=seen_id,
        import_id=import_id,
        announcements=number,
        at_ms=turn.now_ms,
        sequence=turn.state.take_sequence(),
    )
    objects.put(seen_id, entry)


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


def _fail(turn: Turn, record: Import, state: str, code: str) -> None:
    turn.effects.import_record(record)
    end(turn, record, state, _reason(code))


def _flight(turn: Turn, event: ObjectAnnounced, feed: Feed, record: Import) -> InFlight:
    """The import in the form that its feed has now, not opened yet."""
    assert record.day is not None
    opened = ImportOpenStep(
        space_id=turn.space_id,
        step=0,
        at_ms=0,
        import_id=record.import_id,
        feed_id=feed.feed_id,
        mode=feed.mode,
        day=record.day,
        event_time_ms=event.event_time_ms,
        object_key=event.object.key,
        sequencer=event.sequencer,
        lookback_days=feed.lookback_days if feed.mode == "append" else None,
        id_type=kept_id_type(feed.id_type),
    )
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
        open_step=0,
    )
    return InFlight(
        space_id=turn.space_id,
        id=record.import_id,
        record=record,
        request=asked,
        opened=opened,
        remove_share_max=feed.remove_share_max,
    )
