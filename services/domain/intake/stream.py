"""Events of a topic feed: a run of records of one source partition becomes batches of events for membership.

JSON → audiences and canonical identities → one batch for each form of identity, in the order of the source. What is no
event, or names nobody, is refused alone. Pure; called by `services.intake.streams`.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts import codes
from contracts.codes import Code
from contracts.messages.streams import StreamEvent
from services.domain.intake.audiences import Resolve
from services.domain.rows import EventBatch, RowBatch, canonicalise

_UNKNOWN: Final = -1
_AT: Final = " - at "  # what stands before it in a message of msgspec may be the sender's

_NO_EVENT: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)

_decode: Final = msgspec.json.Decoder(StreamEvent).decode


class RefusedEvent(NamedTuple):
    """The record at `position` of the run; `code` is `event-invalid` or a `row-*` code."""

    position: int
    code: Code
    detail: str


class ReadEvents(NamedTuple):
    """Every record of the run is in one batch or refused, once; the refused ones in their order."""

    batches: list[EventBatch]
    refused: list[RefusedEvent]


def read_events(
    values: Sequence[bytes | None],
    offsets: Sequence[int],
    *,
    id_type: str,
    resolve: Resolve,
    fixed: str | None = None,
) -> ReadEvents:
    """What the values say; `offsets` rise. `fixed` is the audience (id) of all events, where the feed names it."""
    events, at, refused = _events(values)
    found = canonicalise(id_type, pa.array([event.id for event in events], pa.large_utf8()))
    for refusal in found.rejected:
        refused += [RefusedEvent(int(at[row]), refusal.code, "") for row in refusal.positions.tolist()]
    places, audiences = _audiences(events, resolve, fixed)
    adds = np.array([event.op == "add" for event in events], dtype=bool)
    where = np.array(offsets, dtype=np.int64)[at]
    batches: list[EventBatch] = []
    for identities, rows in found.groups:
        index = places[rows]
        known = np.flatnonzero(index != _UNKNOWN)
        for row in rows[index == _UNKNOWN].tolist():
            refused.append(_without_audience(int(at[row]), events[row]))
        if len(known):
            chosen = rows[known]
            named = RowBatch(identities.take(known), index[known].astype(np.uint32), audiences)
            batches.append(EventBatch(named, adds[chosen], where[chosen]))
    assert sum(map(len, batches)) + len(refused) == len(values)
    return ReadEvents(batches, sorted(refused, key=lambda one: one.position))


def _events(values: Sequence[bytes | None]) -> tuple[list[StreamEvent], npt.NDArray[np.int64], list[RefusedEvent]]:
    """The events, the position of each, and what is none. All at once where nothing is wrong, as is usual."""
    try:
        return [_decode(value or b"") for value in values], np.arange(len(values)), []
    except _NO_EVENT:
        return _events_one_by_one(values)


def _events_one_by_one(
    values: Sequence[bytes | None],
) -> tuple[list[StreamEvent], npt.NDArray[np.int64], list[RefusedEvent]]:
    events: list[StreamEvent] = []
    at: list[int] = []
    refused: list[RefusedEvent] = []
    for position, value in enumerate(values):
        try:
            events.append(_decode(value or b""))
            at.append(position)
        except _NO_EVENT as error:
            refused.append(RefusedEvent(position, codes.EVENT_INVALID, _words(error)))
    return events, np.array(at, dtype=np.int64), refused


def _audiences(
    events: Sequence[StreamEvent], resolve: Resolve, fixed: str | None
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """For each event a place in the list of audience ids, -1 where it names none that it may."""
    if fixed is not None:
        return np.zeros(len(events), dtype=np.int64), [fixed]
    texts: defaultdict[str | None, int] = defaultdict(count().__next__)
    of_event = np.array([texts[event.audience] for event in events], dtype=np.int64)
    ids: dict[str, int] = {}
    of_text = np.full(len(texts), _UNKNOWN, dtype=np.int64)
    for text, place in texts.items():
        audience_id = None if text is None else resolve(text.strip())
        if audience_id is not None:
            of_text[place] = ids.setdefault(audience_id, len(ids))
    return of_text[of_event], [*ids]


def _without_audience(position: int, event: StreamEvent) -> RefusedEvent:
    if event.audience is None:
        return RefusedEvent(position, codes.EVENT_INVALID, "neither the event nor the feed names an audience")
    return RefusedEvent(position, codes.ROW_AUDIENCE_UNKNOWN, "")


def _words(error: Exception) -> str:
    """What is wrong, without anything that the sender wrote."""
    if isinstance(error, msgspec.ValidationError):
        return str(error).rpartition(_AT)[2][:200]
    return "it is not JSON"
