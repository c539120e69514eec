"""The account of a lane's batch."""

import pytest

from contracts import codes
from contracts.instants import parse_instant
from services.domain.delivery.answers import DELIVERED, Fate, Verdict
from services.domain.delivery.ledger import Ledger
from services.domain.delivery.merge import collapse, cut
from tests.unit.domain.delivery.making import AT, QUEUE, SPACE, delivery, queued

AT_MS = parse_instant(AT) or 0
REFUSED = Verdict(Fate.REFUSED, codes.DELIVERY_PERMANENT, "the destination answered 400")


def test_each_record_has_one_outcome_that_adds_up() -> None:
    said = [
        delivery(1, "add", ["a", "b", "c"]),
        delivery(2, "remove", ["a"]),
        delivery(3, "add", ["a"], activation_id="act_2"),
    ]
    records = [queued(offset, one) for offset, one in zip((10, 12, 15), said, strict=True)]
    kept = collapse(said)
    ledger = Ledger(records, kept)
    first, second = cut(kept, 2)  # [b c] and [remove a, act_2's a]
    ledger.attempted(first)
    ledger.attempted(second)
    ledger.attempted(second)
    ledger.uploaded(first)
    for item in first:
        ledger.settle(item, DELIVERED)
    ledger.uploaded(second)
    ledger.settle(second[0], REFUSED)
    ledger.settle(second[1], DELIVERED)

    assert [(record.offset, *why) for record, *why in ledger.dead()] == [(12, REFUSED, 2)]
    counted = [
        (one.activation_id, one.through_offset, one.delivered, one.merged, one.dead_lettered, one.uploads, one.code)
        for one in ledger.outcomes(QUEUE, AT_MS)
    ]
    assert counted == [
        ("act_1", 11, 2, 1, 0, 1, None),
        ("act_1", 13, 0, 0, 1, 1, "delivery-permanent"),
        ("act_2", 16, 1, 0, 0, 1, None),
    ]
    outcome = next(ledger.outcomes(QUEUE, AT_MS))
    assert (outcome.space_id, outcome.queue, outcome.partition, outcome.at) == (SPACE, QUEUE, 0, AT)
    assert outcome.waited_ms == AT_MS - records[0].timestamp_ms


def test_an_unsettled_member_is_a_mistake_of_ours() -> None:
    said = [delivery(1, "add", ["a"])]
    with pytest.raises(AssertionError):
        list(Ledger([queued(0, said[0])], collapse(said)).outcomes(QUEUE, AT_MS))
