"""Imports that wait for the hour of their feed (contracts.md §3, `process_at`), by the time of the space.

What is announced at that hour or after it waits for the next. Called when an object is announced and by the clock.
"""

import msgspec

from contracts.instants import instant_text
from contracts.messages.control_state import InFlight, Waiting
from services.domain.control.imports import import_order, keep, open_
from services.domain.control.schedule import next_hour_ms
from services.domain.control.sets import open_set
from services.domain.control.turn import Turn


def wait_for_hour(turn: Turn, flight: InFlight, hour: int) -> None:
    """One object, to be opened when that hour of the day next begins."""
    opens_ms = next_hour_ms(turn.at_ms, hour)
    record = msgspec.structs.replace(flight.record, state="waiting", waits_until=instant_text(opens_ms))
    turn.effects.import_record(record)
    keep(turn, flight, record=record, waiting=Waiting(hour=hour, opens_ms=opens_ms))


def open_due(turn: Turn) -> None:
    """Opens those whose hour has come, in the order of imports."""
    for flight in sorted((one for one in turn.state.imports_in("waiting") if _is_due(turn, one)), key=import_order):
        if flight.waiting is not None and flight.waiting.folder is not None:
            open_set(turn, flight)
        else:
            open_(turn, flight)


def _is_due(turn: Turn, flight: InFlight) -> bool:
    waiting = flight.waiting
    return waiting is not None and waiting.opens_ms is not None and waiting.opens_ms <= turn.at_ms
