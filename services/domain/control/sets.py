"""Objects that a marker makes one import: collected by folder until the marker is announced (contracts.md §3).

Stores announce in any order, so a set is open to what belongs to it until it is read: a part belongs to the first
marker of its folder that is not older than the part. What nobody marks fails at last, and so does a marker of nothing;
that a part was never written nobody can know. Called for announcements of feeds with a marker, and by the clock.
"""

import math

import msgspec

from contracts import codec, codes
from contracts.ids import made_id
from contracts.instants import instant_text
from contracts.messages.control_state import InFlight, Part, Waiting
from contracts.messages.entities import Feed, Marker
from contracts.messages.intake import ObjectAnnounced
from services.domain.control.imports import give_up, import_order, keep, open_, see_again
from services.domain.control.schedule import hour_of, next_hour_ms
from services.domain.control.turn import Turn
from services.domain.control.versions import object_id
from services.domain.intake.keys import is_marker


def collect(turn: Turn, event: ObjectAnnounced, feed: Feed, flight: InFlight) -> str:
    """Puts the object, or the marker, where it belongs; returns the import. `flight` is what it would be by itself."""
    part = Part(object=event.object, event_time_ms=event.event_time_ms, sequencer=event.sequencer, code=event.code)
    folder = _folder(event.object.key)
    home = _home(turn, feed.feed_id, folder, part.event_time_ms) or _begin(turn, flight, feed, folder)
    if is_marker(event.object.key, feed):
        return _mark(turn, home, flight, part)
    return _arrange(turn, _with(turn, home, part)).id


def settle(turn: Turn) -> None:
    """Opens those that have been whole for a while by the machine's clock."""
    settled = (one for one in turn.state.imports_in("waiting") if _has_settled(turn, one))
    for flight in sorted(settled, key=import_order):
        open_set(turn, flight)


def give_up_late(turn: Turn) -> None:
    """Fails those that have waited for too long by the time of the space; what they hold may be announced again."""
    for flight in turn.state.imports_in("waiting"):
        waiting = flight.waiting
        if waiting is not None and waiting.lapses_ms is not None and waiting.lapses_ms <= turn.at_ms:
            there = f"{len(waiting.parts)} objects and no marker" if waiting.marker is None else "a marker of nothing"
            see_again(turn, flight)
            give_up(turn, flight, codes.IMPORT_MARKER_TIMEOUT.code, f"{there} within {waiting.timeout_ms // 1000} s")


def open_set(turn: Turn, flight: InFlight) -> None:
    """All that is there is read as one, by key; not if a part can't be read, for then the rest is not the set."""
    waiting, asked = flight.waiting, flight.request
    assert waiting is not None
    assert asked is not None
    parts = _newest(waiting).values()
    lost = [part.code for part in parts if part.code is not None]
    if waiting.overfull:
        detail = f"more than the {len(waiting.parts)} that fit into one request"
        give_up(turn, flight, codes.IMPORT_TOO_MANY_OBJECTS.code, detail)
    elif lost:
        give_up(turn, flight, lost[0], f"{len(lost)} of {len(parts)} objects")
    else:
        objects = [part.object for part in parts]
        asked = msgspec.structs.replace(asked, object=objects[0], objects=objects)
        record = msgspec.structs.replace(flight.record, objects=len(objects))
        open_(turn, msgspec.structs.replace(flight, request=asked, record=record))


def _begin(turn: Turn, flight: InFlight, feed: Feed, folder: str) -> InFlight:
    """A set of nothing, of the form that the feed has now."""
    assert isinstance(feed.complete_on, Marker)
    timeout_ms = feed.complete_on.timeout_seconds * 1_000
    hour = None if feed.process_at is None else hour_of(feed.process_at)
    return _numbered(turn, flight, Waiting(hour=hour, folder=folder, timeout_ms=timeout_ms))


def _numbered(turn: Turn, flight: InFlight, waiting: Waiting) -> InFlight:
    """A new import in the form of another."""
    feed_id, folder = flight.record.feed_id or "", waiting.folder or ""
    import_id = made_id("imp", turn.space_id, feed_id, folder, turn.state.take_sequence())
    assert flight.request is not None
    assert flight.opened is not None
    return msgspec.structs.replace(
        flight,
        id=import_id,
        record=msgspec.structs.replace(flight.record, import_id=import_id, state="waiting"),
        request=msgspec.structs.replace(flight.request, import_id=import_id),
        opened=msgspec.structs.replace(flight.opened, import_id=import_id),
        waiting=waiting,
    )


def _home(turn: Turn, feed_id: str, folder: str, at_ms: int) -> InFlight | None:
    """The set of the first marker that is not older, else the one that has no marker yet."""
    sets = [one for one in turn.state.imports_in("waiting") if one.waiting is not None and one.waiting.folder == folder]
    return min(
        (one for one in sets if one.record.feed_id == feed_id and _ends_ms(one) >= at_ms), key=_ends_ms, default=None
    )


def _ends_ms(flight: InFlight) -> float:
    """Up to when its parts may be written."""
    assert flight.waiting is not None
    return math.inf if flight.waiting.marker is None else flight.waiting.marker.event_time_ms


def _mark(turn: Turn, home: InFlight, flight: InFlight, marker: Part) -> str:
    """Parts the set at the marker: what is not newer becomes an import of the marker's time and day; returns it."""
    waiting = home.waiting
    assert waiting is not None
    assert flight.opened is not None
    older = [part for part in waiting.parts if part.event_time_ms <= marker.event_time_ms]
    newer = [part for part in waiting.parts if part.event_time_ms > marker.event_time_ms]
    if waiting.marker is not None:
        _arrange(turn, _holding(turn, home, newer, waiting.marker))
        home = _numbered(turn, home, waiting)
    elif newer:
        _arrange(turn, _holding(turn, _numbered(turn, home, waiting), newer, None))
    record = msgspec.structs.replace(home.record, object=marker.object, day=flight.record.day)
    opened = msgspec.structs.replace(flight.opened, import_id=home.id)
    home = msgspec.structs.replace(home, record=record, opened=opened)
    return _arrange(turn, _holding(turn, home, older, marker)).id


def _holding(turn: Turn, flight: InFlight, parts: list[Part], marker: Part | None) -> InFlight:
    """The set with these parts, and when it is opened to be seen anew."""
    assert flight.waiting is not None
    object_ids = [object_id(one.object) for one in (*parts, marker) if one is not None]
    for seen in filter(None, map(turn.state.objects.get, object_ids)):
        turn.state.objects.put(seen.id, msgspec.structs.replace(seen, import_id=flight.id))
    waiting = msgspec.structs.replace(
        flight.waiting,
        marker=marker,
        parts=parts,
        size_bytes=sum(map(_size_bytes, parts)),
        opens_ms=None,
        settles_ms=None,
        lapses_ms=None,
    )
    return msgspec.structs.replace(flight, object_ids=object_ids, waiting=waiting)


def _with(turn: Turn, home: InFlight, part: Part) -> InFlight:
    """The set with one object more, or with what is now known of it."""
    waiting = home.waiting
    assert waiting is not None
    part_id = object_id(part.object)
    parts = [one for one in waiting.parts if object_id(one.object) != part_id]
    size_bytes = waiting.size_bytes + _size_bytes(part)
    if size_bytes > turn.config.parts_bytes_max:
        return msgspec.structs.replace(home, waiting=msgspec.structs.replace(waiting, overfull=True))
    waiting = msgspec.structs.replace(waiting, parts=[*parts, part], size_bytes=size_bytes)
    return msgspec.structs.replace(home, object_ids=[*home.object_ids, part_id], waiting=waiting)


def _arrange(turn: Turn, flight: InFlight) -> InFlight:
    """When it is to be opened, now that this much is there."""
    waiting = flight.waiting
    assert waiting is not None
    if waiting.marker is None or not waiting.parts:
        if waiting.lapses_ms is None:
            waiting = msgspec.structs.replace(waiting, lapses_ms=turn.at_ms + waiting.timeout_ms)
            flight = _shown(turn, flight, waiting.lapses_ms, waiting)
    elif waiting.hour is None:
        settles_ms = turn.now_ms + turn.config.marker_grace_ms
        waiting = msgspec.structs.replace(waiting, settles_ms=settles_ms, lapses_ms=None)
        flight = _shown(turn, flight, None, waiting)
    else:
        opens_ms = waiting.opens_ms or next_hour_ms(turn.at_ms, waiting.hour)
        waiting = msgspec.structs.replace(waiting, opens_ms=opens_ms, lapses_ms=None)
        flight = _shown(turn, flight, opens_ms, waiting)
    return keep(turn, flight, waiting=waiting)


def _shown(turn: Turn, flight: InFlight, until_ms: int | None, waiting: Waiting) -> InFlight:
    until = None if until_ms is None else instant_text(until_ms)
    record = msgspec.structs.replace(
        flight.record, objects=len(_newest(waiting)), waits_until=until, updated_at=turn.at
    )
    turn.effects.import_record(record)
    return msgspec.structs.replace(flight, record=record)


def _newest(waiting: Waiting) -> dict[str, Part]:
    """Of each key the newest version, in the order of keys."""
    by_key = {part.object.key: part for part in sorted(waiting.parts, key=lambda part: part.event_time_ms)}
    return dict(sorted(by_key.items()))


def _has_settled(turn: Turn, flight: InFlight) -> bool:
    waiting = flight.waiting
    return waiting is not None and waiting.settles_ms is not None and waiting.settles_ms <= turn.now_ms


def _size_bytes(part: Part) -> int:
    return len(codec.encode(part))


def _folder(key: str) -> str:
    return key.rpartition("/")[0]
