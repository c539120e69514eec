"""What control knows of a space, by itself: imports by what they wait for."""

from typing import Any, Final

from contracts.messages.control_state import Applying, InFlight, Phase, Ready, Waiting
from contracts.messages.published import Import
from services.domain.control.space_state import SpaceState
from tests.unit.domain.control.bench import SPACE, START_MS

_FIELDS: Final[dict[Phase, dict[str, Any]]] = {
    "waiting": {"waiting": Waiting(opens_ms=START_MS + 1, settles_ms=START_MS + 2)},
    "queued": {"queued": True},
    "delayed": {"retry_ms": START_MS + 3},
    "reading": {"deadline_ms": START_MS + 4},
    "ready": {"ready": Ready(reading_id="r", audiences=[], stage="held", lapses_ms=START_MS + 5)},
    "applying": {"applying": Applying(waiting=[0], audiences=1)},
}


def _flight(id_: str, phase: Phase) -> InFlight:
    record = Import(space_id=SPACE, import_id=id_, mode="append", state="", announced_at="", updated_at="")
    return InFlight(space_id=SPACE, id=id_, record=record, **_FIELDS[phase])


def test_an_import_is_in_the_one_phase_of_what_is_set() -> None:
    for phase in _FIELDS:
        assert _flight("i", phase).phase == phase


def test_imports_are_found_by_their_present_phase_in_the_order_of_ids() -> None:
    state = SpaceState.fresh(SPACE, START_MS)
    state.load(_flight("restored", "reading"))
    for id_ in ("b", "a"):
        state.imports.put(id_, _flight(id_, "reading"))
    assert [one.id for one in state.imports_in("reading")] == ["a", "b", "restored"]
    state.imports.put("a", _flight("a", "applying"))
    state.imports.drop("restored")
    state.imports.put("c", _flight("c", "delayed"))
    assert [one.id for one in state.imports_in("delayed", "reading")] == ["b", "c"]
    with state.tried_out():
        state.imports.put("b", _flight("b", "applying"))
        assert [one.id for one in state.imports_in("applying")] == ["a", "b"]
    assert [one.id for one in state.imports_in("applying")] == ["a"]


def test_of_imports_on_their_way_only_those_that_wait_for_a_clock_are_due() -> None:
    state = SpaceState.fresh(SPACE, START_MS)
    assert state.due_ms() is None
    dues: dict[Phase, int | None] = {}
    for phase in _FIELDS:
        state.imports.put("i", _flight("i", phase))
        dues[phase] = state.due_ms()
    assert dues == {
        "waiting": START_MS + 2,  # of the machine's clock: there is no space whose time could pass
        "queued": None,
        "delayed": START_MS + 3,
        "reading": START_MS + 4,
        "ready": None,
        "applying": None,
    }
    state.imports.put("i", _flight("i", "waiting"))
    assert state.next_instant_ms() == START_MS + 1
    state.imports.put("i", _flight("i", "ready"))
    assert state.next_instant_ms() == START_MS + 5
