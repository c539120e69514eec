"""The life of an import from its opening to its last attempt (architecture.md §1)."""

import msgspec

from contracts import codes
from contracts.messages.control_state import InFlight
from contracts.messages.published import Import, Reason
from contracts.messages.steps import ImportAbortStep
from services.domain.control.quotas import quotas
from services.domain.control.turn import Turn
from services.domain.membership.imports.order import ImportOrder


def open_(turn: Turn, flight: InFlight) -> None:
    """The import takes its place among the steps, and is read when it is its turn: `ask_queued`."""
    assert flight.opened is not None
    assert flight.request is not None
    allowed, partitions = quotas(turn), turn.config.membership_partitions
    opened = msgspec.structs.replace(
        flight.opened,
        step=turn.next_step(),
        at_ms=turn.at_ms,
        layers_max=allowed.layers,
        identities_max=allowed.identities_on_partition(partitions),
    )
    turn.effects.step(opened)
    record = msgspec.structs.replace(flight.record, step=opened.step, waits_until=None)
    asked = msgspec.structs.replace(flight.request, open_step=opened.step)
    keep(turn, flight, record=record, request=asked, opened=opened, waiting=None, queued=True)


def ask_queued(turn: Turn) -> None:
    """Asks for the readings of opened imports, as far as the space may have some under way, in the order of imports.

    Called when everything else of a batch of records is done.
    """
    queued = turn.state.imports_in("queued")
    if queued:
        under_way = turn.state.imports_in("delayed", "reading")  # between two attempts it keeps its place
        room = max(quotas(turn).readings - len(under_way), 0)
        for flight in sorted(queued, key=import_order)[:room]:
            request(turn, flight, 1)


def request(turn: Turn, flight: InFlight, attempt: int) -> None:
    """Asks for a reading, to be done by the deadline."""
    assert flight.request is not None
    asked = msgspec.structs.replace(flight.request, attempt=attempt)
    turn.effects.read_request(asked, turn.at)
    record = msgspec.structs.replace(flight.record, state="reading", attempt=attempt, progress=None, updated_at=turn.at)
    turn.effects.import_record(record)
    deadline_ms = turn.now_ms + turn.config.reading_deadline_ms
    keep(turn, flight, record=record, request=asked, queued=False, retry_ms=None, deadline_ms=deadline_ms)


def attempt_failed(turn: Turn, flight: InFlight, code: str, detail: str, *, retryable: bool) -> None:
    """Another attempt after a delay, or the end of the import."""
    attempt = flight.record.attempt
    if retryable and attempt < turn.config.attempts_max:
        delays = turn.config.retry_delays_ms
        retry_ms = turn.now_ms + delays[min(attempt, len(delays)) - 1]
        keep(turn, flight, retry_ms=retry_ms, deadline_ms=None)
        return
    if _may_come_again(code):
        see_again(turn, flight)
    state = "superseded" if code == codes.OBJECT_OVERWRITTEN.code else "failed"
    abort(turn, flight, state, Reason(code=code, detail=detail))


def abort(turn: Turn, flight: InFlight, state: str, error: Reason) -> None:
    """It will never be applied: membership forgets what it holds of it."""
    step = turn.next_step()
    turn.effects.step(ImportAbortStep(space_id=turn.space_id, step=step, at_ms=turn.at_ms, import_id=flight.id))
    turn.state.imports.drop(flight.id)
    end(turn, flight.record, state, error)


def give_up(turn: Turn, flight: InFlight, code: str, detail: str) -> None:
    """It fails before it is opened: membership knows nothing of it."""
    if _may_come_again(code):
        see_again(turn, flight)
    turn.state.imports.drop(flight.id)
    end(turn, flight.record, "failed", Reason(code=code, detail=detail))


def overdue(turn: Turn) -> None:
    """Asks again where a delay has passed, and gives up attempts that are late."""
    for flight in turn.state.imports_in("delayed", "reading"):
        if flight.retry_ms is not None and flight.retry_ms <= turn.now_ms:
            request(turn, flight, flight.record.attempt + 1)
        elif flight.deadline_ms is not None and flight.deadline_ms <= turn.now_ms:
            detail = f"attempt {flight.record.attempt} was not staged everywhere in time"
            attempt_failed(turn, flight, codes.READING_LATE.code, detail, retryable=True)


def keep(turn: Turn, flight: InFlight, **fields: object) -> InFlight:
    """The import goes on in this form."""
    flight = msgspec.structs.replace(flight, **fields)
    times = (flight.waiting, flight.queued or None, flight.retry_ms, flight.deadline_ms, flight.ready, flight.applying)
    assert sum(one is not None for one in times) == 1, "an import waits for exactly one thing"
    turn.state.imports.put(flight.id, flight)
    return flight


def end(turn: Turn, record: Import, state: str, error: Reason | None) -> None:
    """The import's last record: it waits for nothing any more."""
    last = msgspec.structs.replace(record, state=state, error=error, waits_until=None, updated_at=turn.at)
    turn.effects.import_record(last)


def import_order(flight: InFlight) -> ImportOrder:
    """The import's place in the order of imports (engine.md §1)."""
    assert flight.opened is not None, "a members item has no place among imports"
    return ImportOrder.of(flight.opened)


def see_again(turn: Turn, flight: InFlight) -> None:
    """What failed for no fault of the objects may be announced again by whoever has mended it."""
    for object_id in flight.object_ids:
        seen = turn.state.objects.get(object_id)
        if seen is not None and seen.import_id == flight.id:
            turn.state.objects.put(seen.id, msgspec.structs.replace(seen, again=True))


def _may_come_again(code: str) -> bool:
    declared = codes.ALL.get(code)
    return declared is not None and (declared.retryable or declared.actor == codes.OPERATOR)
