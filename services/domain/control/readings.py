"""What readers and partitions report about an import, until it is applied everywhere (architecture.md §1)."""

import msgspec

from contracts import codes
from contracts.messages.control_state import Applying, InFlight, Reading
from contracts.messages.intake import ReadingFailed, ReadingFinished, ReadingProgress
from contracts.messages.published import Import, Progress, Reason
from contracts.messages.results import Applied, ReadingBroken, Staged
from services.domain.control.guard import take
from services.domain.control.imports import attempt_failed, end, keep
from services.domain.control.turn import Turn


def finished(turn: Turn, event: ReadingFinished) -> None:
    """Every row of a reading is on the input. Of an import that has ended: nothing.

    The newest finished reading is the one to wait for: the partitions will have it whole as surely as any other, and
    what control keeps of an import stays bounded by one list of audiences.
    """
    flight = _reading_flight(turn, event.import_id)
    if flight is not None:
        others = {id_: msgspec.structs.replace(one, finished=None) for id_, one in flight.readings.items()}
        record = msgspec.structs.replace(flight.record, progress=None)  # by now the counts say it
        flight = msgspec.structs.replace(flight, readings=others, record=record)
        reading = flight.readings.get(event.reading_id, Reading())
        _judge(turn, flight, event.reading_id, msgspec.structs.replace(reading, finished=event))


def progressed(turn: Turn, event: ReadingProgress) -> None:
    """An attempt is under way; so long as it gets on it is not late."""
    flight = _reading_flight(turn, event.import_id)
    if flight is None or flight.deadline_ms is None or event.attempt != flight.record.attempt:
        return
    progress = Progress(read_bytes=event.read_bytes, total_bytes=event.total_bytes, rows=event.rows)
    record = msgspec.structs.replace(flight.record, progress=progress, updated_at=turn.at)
    turn.effects.import_record(record)
    keep(turn, flight, record=record, deadline_ms=turn.now_ms + turn.config.reading_deadline_ms)


def failed(turn: Turn, event: ReadingFailed) -> None:
    """An attempt has failed; one that was given up before: nothing."""
    flight = _reading_flight(turn, event.import_id)
    if flight is not None and flight.deadline_ms is not None and event.attempt == flight.record.attempt:
        attempt_failed(turn, flight, event.code, event.detail[:500], retryable=event.retryable)


def staged(turn: Turn, result: Staged) -> None:
    """A partition holds a reading whole."""
    flight = _reading_flight(turn, result.import_id)
    if flight is not None:
        reading = flight.readings.get(result.reading_id, Reading())
        by_partition = reading.staged | {result.partition: (result.rows, result.distinct)}
        _judge(turn, flight, result.reading_id, msgspec.structs.replace(reading, staged=by_partition))


def broken(turn: Turn, result: ReadingBroken) -> None:
    """A partition can't have a reading whole: whoever still reads under that id reads in vain."""
    flight = _reading_flight(turn, result.import_id)
    if flight is not None:
        reading = flight.readings.get(result.reading_id, Reading())
        reading = msgspec.structs.replace(reading, broken=result.detail[:500], code=result.code)
        _judge(turn, flight, result.reading_id, reading)


def applied(turn: Turn, result: Applied) -> None:
    """A partition has taken an import or a members item; after the last one it has ended."""
    flight = turn.state.imports.get(result.import_id)
    if flight is None or flight.applying is None or result.partition not in flight.applying.waiting:
        return
    before = flight.applying
    now = Applying(
        waiting=[one for one in before.waiting if one != result.partition],
        audiences=before.audiences,
        entered=before.entered + result.entered,
        exited=before.exited + result.exited,
        refused=before.refused + (result.refused or 0),
        superseded=sorted({*result.superseded}.intersection(*_known(before))),
        expired=before.expired and result.expired,
    )
    flight = keep(turn, flight, applying=now)
    if not now.waiting:
        turn.state.imports.drop(flight.id)
        _complete(turn, flight.record, now)


def _reading_flight(turn: Turn, import_id: str) -> InFlight | None:
    """The import, where a reading of it has been asked for and none is taken yet.

    Something is said of one that was not asked for only to an owner that others have succeeded, and that finds in one
    batch what they have done since. It will be fenced; it must come so far.
    """
    flight = turn.state.imports.get(import_id)
    if flight is None or flight.queued or flight.waiting is not None:
        return None
    return flight if flight.ready is None and flight.applying is None else None


def _judge(turn: Turn, flight: InFlight, reading_id: str, reading: Reading) -> None:
    """The reading as it is now known: to be applied, to be done again, or to be waited for."""
    flight = keep(turn, flight, readings=flight.readings | {reading_id: reading})
    if reading.finished is None:
        return
    if reading.broken is not None:
        if flight.deadline_ms is not None and reading.finished.attempt == flight.record.attempt:
            code = reading.code or codes.OBJECT_UNREADABLE.code
            attempt_failed(turn, flight, code, reading.broken, retryable=reading.code is None)
    elif len(reading.staged) == turn.config.membership_partitions:
        take(turn, flight, reading.finished, reading)


def _known(applying: Applying) -> tuple[list[str], ...]:
    return () if applying.superseded is None else (applying.superseded,)


def _complete(turn: Turn, record: Import, result: Applying) -> None:
    """Superseded where a newer full refresh stood in every audience on every partition."""
    record = _counted(record, result)
    if result.audiences and len(result.superseded or ()) == result.audiences:
        detail = "every audience of it stands newer"
        end(turn, record, "superseded", Reason(code=codes.IMPORT_SUPERSEDED.code, detail=detail))
    elif result.expired:
        detail = "its day and lookback had passed: applied without effect"
        end(turn, record, "applied", Reason(code=codes.IMPORT_EXPIRED.code, detail=detail))
    else:
        end(turn, record, "applied", None)


def _counted(record: Import, result: Applying) -> Import:
    """With what it did; identities that membership has refused were valid until then."""
    counts, by_code = record.counts, record.rejected_by_code
    if result.refused:
        by_code = by_code | {codes.IDENTITIES_TOO_MANY.code: result.refused}
    counts = msgspec.structs.replace(
        counts,
        valid=counts.valid - result.refused,
        rejected=counts.rejected + result.refused,
        entered=result.entered,
        exited=result.exited,
    )
    return msgspec.structs.replace(record, counts=counts, rejected_by_code=by_code)
