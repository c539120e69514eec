"""The suite of every connector that replaces a list as a whole: the parts are the list, and no answer ends it falsely."""

from collections.abc import Sequence

import msgspec
import pytest

from contracts import codes
from services.connectors.base import ReplacingConnector, Request, Whole
from services.connectors.registry import CONNECTORS
from services.domain.delivery.answers import Fate
from services.domain.delivery.merge import Kept, part
from services.domain.delivery.replacement import Part, Parts, Resync
from services.runtime.web import WebAnswer
from tests.unit.connectors.conformance import CANARY, CASES, HOSTILE, NO_SUCCESS, Case, answered, named
from tests.unit.domain.delivery.making import clearing, delivery

CLEAR = clearing(1, 7, followed_by=25)
replacing_ones = named([case for case in CASES if isinstance(CONNECTORS[case.slug], ReplacingConnector)])


def connector(case: Case) -> ReplacingConnector:
    found = CONNECTORS[case.slug]
    assert isinstance(found, ReplacingConnector)
    return found


def whole(members: int, id: str = "acme.con_1.7") -> Whole:
    return Whole(id, part(Kept(0, CLEAR, [], 0), []), CLEAR, members)


def parts(case: Case, members: int, members_max: int = 10) -> list[Part]:
    made = Parts(Resync(CLEAR, members, 3), members_max)
    said = [
        msgspec.structs.replace(
            delivery(n, "add", [case.member(number) for number in numbers], resync=True), id_type=case.id_type
        )
        for n, numbers in ((2, range(min(7, members))), (3, range(7, members)))
    ]
    return [*made.begin(), *(one for delivered in said for one in made.take(delivered))]


def requests(case: Case, members: int, id: str = "acme.con_1.7") -> list[Request]:
    found, of = connector(case), whole(members, id)
    made = [found.replacement(of, one, case.filled) for one in parts(case, members)]
    sent = [one for one in made if one is not None]
    last = found.completion(of, sent, case.filled)
    return sent if last is None else [*sent, last]


def good(request: Request) -> WebAnswer:
    """Meta counts rows; a store says nothing."""
    return answered({"num_received": max(request.part.members, 1) if request.part is not None else 0})


def verdicts(case: Case, request: Request, answer: WebAnswer) -> Sequence[Fate]:
    found = connector(case).outcomes(request, answer)
    assert set(found) <= {request.items[0].id}
    assert all(verdict.code or verdict.fate is Fate.DELIVERED for verdict in found.values())
    return [verdict.fate for verdict in found.values()]


def test_whoever_declares_how_it_replaces_can_do_it() -> None:
    for found in CONNECTORS.values():
        assert (found.declaration.replacement is not None) == isinstance(found, ReplacingConnector)
        if isinstance(found, ReplacingConnector):
            assert found.replaces({"resync": "replace"})
            assert not found.replaces({"resync": "add"})


@replacing_ones
@pytest.mark.parametrize("members", [0, 1, 10, 25])
def test_the_parts_are_the_same_bytes_whoever_makes_them_and_are_about_the_whole(case: Case, members: int) -> None:
    first, second = requests(case, members), requests(case, members)
    assert [(one.id, one.body) for one in first] == [(one.id, one.body) for one in second]
    assert len({one.id for one in first}) == len(first) > 0
    assert sum(one.part.members for one in first if one.part is not None) == members
    assert all(one.items == (whole(members).item,) for one in first)


@replacing_ones
def test_attempts_show_no_secret_and_no_identifier_and_good_answers_deliver(case: Case) -> None:
    for request in requests(case, 25):
        sent = connector(case).attempt(request, case.target)
        assert sent == connector(case).attempt(request, case.target)
        assert CANARY not in repr(sent.body)
        shown = [sent.url, *sent.headers, *sent.headers.values()]
        assert not any(case.member(n) in text for n in range(25) for text in shown)
        assert verdicts(case, request, good(request)) == [Fate.DELIVERED]


@replacing_ones
@pytest.mark.parametrize("status", NO_SUCCESS)
def test_what_is_no_success_is_no_part_of_it_whatever_the_body_says(case: Case, status: int) -> None:
    for request in requests(case, 25):
        for body in (*HOSTILE, good(request).body):
            assert Fate.DELIVERED not in verdicts(case, request, WebAnswer(status, {}, body))


@replacing_ones
def test_no_hostile_body_breaks_it_and_what_broke_may_be_begun_again(case: Case) -> None:
    for request in requests(case, 25):
        for body in (*HOSTILE, b'{"error":{"code":2650,"error_subcode":1870147}}'):
            found = connector(case).outcomes(request, WebAnswer(200, {}, body))
            for verdict in found.values():
                broken = verdict.code is codes.DELIVERY_REPLACEMENT_BROKEN
                assert not broken or verdict.fate is Fate.UNAVAILABLE
