"""What destinations say later of members that they took, in the status of an activation."""

import msgspec
import pytest

from contracts import codes
from tests.unit.domain.control.bench import Bench
from tests.unit.domain.control.delivering import activatable, activate, delivered, reported, routed, say, status


@pytest.fixture
def bench() -> Bench:
    """A space with an activation."""
    made = activatable()
    activate(made)
    return made


def test_members_that_were_taken_are_in_process_until_they_are_reported_on(bench: Bench) -> None:
    taken = msgspec.structs.replace(delivered(4, count=10), processing=10)
    say(bench, routed(5, changes=10), taken)

    def counted() -> tuple[int | None, int | None, int | None]:
        totals = status(bench).totals
        assert totals.segment_upload_count == 10
        return totals.ready_count, totals.processing_count, totals.failed_count

    assert counted() == (0, 10, 0)
    say(bench, reported(1, members=6, failed=2, matched="31-40"), reported(1, members=6, failed=2))
    assert counted() == (4, 4, 2)
    error = status(bench).last_error
    assert error is not None
    assert (error.code, status(bench).match_rate) == (codes.DELIVERY_FAILED_LATER.code, "31-40")
    say(bench, reported(2, members=4))
    assert counted() == (8, 0, 2)
    assert status(bench).match_rate == "31-40"


def test_what_a_crash_had_reported_on_twice_brings_no_count_below_zero(bench: Bench) -> None:
    say(bench, routed(5), msgspec.structs.replace(delivered(4, count=10), processing=10))
    say(bench, reported(1, members=10, failed=7), reported(2, members=10, failed=7))
    totals = status(bench).totals
    assert (totals.ready_count, totals.processing_count, totals.failed_count) == (0, 0, 10)
