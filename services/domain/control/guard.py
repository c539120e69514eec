"""Between staged and applied: an import goes on at once, waits behind another, or is held for somebody to decide.

A full refresh of a feed with `remove_share_max` is weighed first: partitions say what it removes, control adds it up
(engine.md §1; the decision on guards). Called for readings that all partitions hold whole, and by the commands.
"""

from fractions import Fraction

import msgspec

from contracts import codes
from contracts.instants import day_start_ms
from contracts.messages.control_state import Applying, InFlight, Reading, Ready
from contracts.messages.feed_commands import ImportReference
from contracts.messages.intake import ReadingFinished
from contracts.messages.published import ImportCounts, Reason, Removal
from contracts.messages.results import Weighed
from contracts.messages.steps import ImportApplyStep, ImportWeighStep
from services.domain.catalogue.failed import ItemFailed, quoted
from services.domain.catalogue.item import referred_import
from services.domain.control.answer import ItemAnswer
from services.domain.control.imports import abort, import_order, keep
from services.domain.control.turn import Turn


def take(turn: Turn, flight: InFlight, event: ReadingFinished, reading: Reading) -> None:
    """All partitions hold the same reading whole."""
    counts = event.counts
    duplicate = sum(rows - distinct for rows, distinct in reading.staged.values())
    record = msgspec.structs.replace(
        flight.record,
        state="staged",
        counts=ImportCounts(rows=counts.rows, valid=counts.valid, rejected=counts.rejected, duplicate=duplicate),
        rejected_by_code=event.rejected_by_code,
        rejects=event.rejects,
        warnings=[Reason(code=code, detail=detail) for code, detail in sorted(event.warnings.items())],
        updated_at=turn.at,
    )
    turn.effects.import_record(record)
    ready = Ready(
        reading_id=event.reading_id,
        audiences=event.audiences,
        stage="cleared" if flight.remove_share_max is None else "queued",
    )
    keep(turn, flight, record=record, retry_ms=None, deadline_ms=None, readings={}, ready=ready)
    _go_on(turn)


def weighed(turn: Turn, result: Weighed) -> None:
    """A partition has said what a full refresh removes; after the last one it is applied or held."""
    flight = turn.state.imports.get(result.import_id)
    if flight is None or flight.ready is None or result.partition not in flight.ready.weighing:
        return
    ready = flight.ready
    waiting = [one for one in ready.weighing if one != result.partition]
    ready = msgspec.structs.replace(ready, weighing=waiting, removals=_sum(ready.removals, result.removals))
    flight = keep(turn, flight, ready=ready)
    if not waiting:
        _decide(turn, flight, ready)
        _go_on(turn)


def lapse(turn: Turn) -> None:
    """Nobody has decided in time."""
    for flight in _ready(turn):
        if flight.ready is not None and flight.ready.lapses_ms is not None and flight.ready.lapses_ms <= turn.at_ms:
            _end(turn, flight, "aborted", codes.IMPORT_HOLD_LAPSED.code, "neither approved nor rejected")
    _go_on(turn)


def import_approved(turn: Turn, item: ImportReference) -> ItemAnswer:
    """It is applied, whatever it removes; raises `ItemFailed`(field-required, import-not-held)."""
    flight, ready = _held(turn, item)
    _clear(turn, flight, ready)
    _go_on(turn)
    return ItemAnswer({"import_id": flight.id})


def import_rejected(turn: Turn, item: ImportReference) -> ItemAnswer:
    """It is never applied; raises `ItemFailed`(field-required, import-not-held)."""
    flight, _ = _held(turn, item)
    _end(turn, flight, "aborted", codes.IMPORT_REJECTED.code, "nothing of it was applied")
    _go_on(turn)
    return ItemAnswer({"import_id": flight.id})


def _held(turn: Turn, item: ImportReference) -> tuple[InFlight, Ready]:
    import_id = referred_import(item)
    flight = turn.state.imports.get(import_id)
    if flight is None or flight.ready is None or flight.ready.stage != "held":
        raise ItemFailed(codes.IMPORT_NOT_HELD, f"import {quoted(import_id)}")
    return flight, flight.ready


def _go_on(turn: Turn) -> None:
    """Whatever nothing stands in the way of is weighed or applied, the oldest first, until all others wait."""
    while any(_step_on(turn, one) for one in sorted(_ready(turn), key=import_order)):
        pass
    _bound(turn)


def _ready(turn: Turn) -> list[InFlight]:
    return turn.state.imports_in("ready")


def _step_on(turn: Turn, flight: InFlight) -> bool:
    """Whether the import could go on: then others are as they were no more."""
    if flight.ready is None or flight.ready.stage not in ("queued", "cleared"):
        return False
    waits_for = _waits_for(turn, flight, flight.ready)
    if waits_for != flight.record.waits_for:
        record = msgspec.structs.replace(flight.record, waits_for=waits_for, updated_at=turn.at)
        turn.effects.import_record(record)
        flight = keep(turn, flight, record=record)
    if waits_for is not None or flight.ready is None:
        return False
    if flight.ready.stage == "queued":
        _weigh(turn, flight, flight.ready)
    else:
        _apply(turn, flight, flight.ready)
    return True


def _waits_for(turn: Turn, flight: InFlight, ready: Ready) -> str | None:
    """One that is being weighed, so that what is weighed stays so; and an append: an older one that is held."""
    for other in _ready(turn):
        if other.ready is None or other.id == flight.id or set(other.ready.audiences).isdisjoint(ready.audiences):
            continue
        stage = other.ready.stage
        appends_later = flight.record.mode == "append" and import_order(other) < import_order(flight)
        if stage == "weighing" or (stage == "held" and appends_later):
            return other.id
    return None


def _bound(turn: Turn) -> None:
    """Rows that wait stay in membership: where too many do, what they wait for has lapsed."""
    behind = [one.record.waits_for for one in _ready(turn) if one.record.waits_for is not None]
    if len(behind) <= turn.config.behind_max:
        return
    for import_id in sorted(set(behind)):
        flight = turn.state.imports.get(import_id)
        if flight is not None and flight.ready is not None and flight.ready.stage == "held":
            detail = f"more than {turn.config.behind_max} imports wait behind what is held"
            _end(turn, flight, "aborted", codes.IMPORT_HOLD_LAPSED.code, detail)
            _go_on(turn)
            return


def _weigh(turn: Turn, flight: InFlight, ready: Ready) -> None:
    turn.effects.step(
        ImportWeighStep(
            space_id=turn.space_id,
            step=turn.next_step(),
            at_ms=turn.at_ms,
            import_id=flight.id,
            reading_id=ready.reading_id,
            audiences=_present(turn, ready),
        )
    )
    partitions = list(range(turn.config.membership_partitions))
    keep(turn, flight, ready=msgspec.structs.replace(ready, stage="weighing", weighing=partitions))


def _decide(turn: Turn, flight: InFlight, ready: Ready) -> None:
    """Held where too much of an audience would go, unless a newer one of that audience is held already."""
    assert flight.remove_share_max is not None
    share_max = Fraction(str(flight.remove_share_max))  # as it was written: 29 of 100 are no more than 0.29
    removals = {name: one for name, one in ready.removals.items() if one.removes > share_max * one.size}
    if not removals:
        _clear(turn, flight, ready)
        return
    lapses_ms = turn.at_ms + turn.config.hold_keep_ms
    ready = msgspec.structs.replace(ready, stage="held", removals=removals, lapses_ms=lapses_ms)
    flight = _show(turn, flight, ready, "held")
    for other in _ready(turn):
        if other.ready is not None and other.ready.stage == "held" and import_order(other) > import_order(flight):
            _outdate(turn, flight, by=other)
    if flight.id in turn.state.imports:
        _outdate_older(turn, flight)


def _outdate_older(turn: Turn, newer: InFlight) -> None:
    """What is held of the same audiences and older has lost its point: at most one is held for an audience."""
    for other in _ready(turn):
        if other.ready is not None and other.ready.stage == "held" and import_order(other) < import_order(newer):
            _outdate(turn, other, by=newer)


def _outdate(turn: Turn, held: InFlight, *, by: InFlight) -> None:
    """A held import no longer concerns the audiences that a newer full refresh names."""
    held = turn.state.imports.get(held.id) or held
    ready, newer = held.ready, by.ready
    assert ready is not None
    assert newer is not None
    if held.id not in turn.state.imports or set(ready.audiences).isdisjoint(newer.audiences):
        return
    audiences = [one for one in ready.audiences if one not in set(newer.audiences)]
    removals = {name: one for name, one in ready.removals.items() if name in audiences}
    ready = msgspec.structs.replace(ready, audiences=audiences, removals=removals)
    if not audiences:
        _end(turn, held, "superseded", codes.IMPORT_SUPERSEDED.code, f"while it was held, by import {by.id}")
    elif not removals:
        _clear(turn, held, ready)
    else:
        _show(turn, held, ready, "held")


def _clear(turn: Turn, flight: InFlight, ready: Ready) -> None:
    """It may be applied."""
    was_held = flight.record.state == "held"
    ready = msgspec.structs.replace(ready, stage="cleared", removals={}, lapses_ms=None)
    if was_held:
        _show(turn, flight, ready, "staged")
    else:
        keep(turn, flight, ready=ready)


def _show(turn: Turn, flight: InFlight, ready: Ready, state: str) -> InFlight:
    record = msgspec.structs.replace(flight.record, state=state, removals=ready.removals, updated_at=turn.at)
    turn.effects.import_record(record)
    return keep(turn, flight, record=record, ready=ready)


def _end(turn: Turn, flight: InFlight, state: str, code: str, detail: str) -> None:
    abort(turn, flight, state, Reason(code=code, detail=detail))


def _apply(turn: Turn, flight: InFlight, ready: Ready) -> None:
    """One step, and it takes effect on all partitions."""
    if flight.record.mode == "replace":
        _outdate_older(turn, flight)
    audiences = _present(turn, ready)
    turn.effects.step(
        ImportApplyStep(
            space_id=turn.space_id,
            step=turn.next_step(),
            at_ms=turn.at_ms,
            import_id=flight.id,
            reading_id=ready.reading_id,
            audiences=audiences,
        )
    )
    _note_expiry(turn, flight)
    waiting = list(range(turn.config.membership_partitions))
    keep(turn, flight, ready=None, applying=Applying(waiting=waiting, audiences=len(audiences)))


def _note_expiry(turn: Turn, flight: InFlight) -> None:
    opened = flight.opened
    assert opened is not None
    day_ms = day_start_ms(opened.day)
    if opened.mode == "replace":
        turn.state.note_base(day_ms)
    elif opened.lookback_days is not None:
        turn.state.note_append(day_ms, opened.lookback_days)


def _present(turn: Turn, ready: Ready) -> list[str]:
    return [one for one in ready.audiences if turn.state.catalogue.audiences.get(one) is not None]


def _sum(one: dict[str, Removal], other: dict[str, Removal]) -> dict[str, Removal]:
    found = dict(one)
    for name, more in other.items():
        left = found.get(name, Removal(removes=0, size=0))
        found[name] = Removal(removes=left.removes + more.removes, size=left.size + more.size)
    return found
