"""The one suite that every connector passes: whatever is sent, whatever is answered, each item has one true outcome."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from contracts.messages.delivery import Delivery
from services.connectors.base import Connector, EffectConnector, ReplacingConnector, Request, Target, WebConnector
from services.connectors.declaration import connection_mistakes, mistakes
from services.connectors.grouping import fitting
from services.connectors.registry import CONNECTORS
from services.domain.delivery.answers import DELIVERED, Fate
from services.domain.delivery.merge import Item, collapse, cut
from services.runtime.outlets import Effect
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.connectors.conformance import CANARY, CASES, HOSTILE, NO_SUCCESS, NOW_MS, Case, named
from tests.unit.domain.delivery.making import clearing, delivery

every = named(CASES)
by_web = named([case for case in CASES if isinstance(CONNECTORS[case.slug], WebConnector)])
clearing_ones = named(
    [
        case
        for case in CASES
        if CONNECTORS[case.slug].replaces({"resync": "replace"})
        and not isinstance(CONNECTORS[case.slug], ReplacingConnector)
    ]
)
by_effect = named([case for case in CASES if isinstance(CONNECTORS[case.slug], EffectConnector)])


def connector(case: Case) -> Connector:
    return CONNECTORS[case.slug]


def web(case: Case) -> WebConnector:
    found = connector(case)
    assert isinstance(found, WebConnector)
    return found


def attempted(case: Case, request: Request) -> WebRequest | Effect:
    found = connector(case)
    if isinstance(found, EffectConnector):
        return found.effect(request, case.target)
    return web(case).attempt(request, case.target)


def said(case: Case, sequence: int, operation: str, numbers: Sequence[int], activation_id: str = "act_1") -> Delivery:
    made = delivery(sequence, operation, [case.member(number) for number in numbers], activation_id=activation_id)
    return msgspec.structs.replace(made, id_type=case.id_type, activation_name=f"to {activation_id}")


def planned(case: Case, *deliveries: Delivery, items_max: int | None = None) -> list[Request]:
    limit = items_max or connector(case).declaration.limits.items_per_request
    return [
        request
        for items in cut(collapse(deliveries), limit)
        for request in fitting(connector(case), items, case.filled)
    ]


def carried(requests: Sequence[Request]) -> Counter[tuple[str, str, str]]:
    return Counter(
        (item.delivery.activation_id, item.delivery.operation, member)
        for request in requests
        for item in request.items
        for member in item.members
    )


def mixed(case: Case) -> list[Delivery]:
    return [
        said(case, 41, "add", range(20)),
        said(case, 42, "remove", range(10, 15)),
        said(case, 43, "add", range(12, 18), "act_2"),
        said(case, 44, "remove", [3]),
        said(case, 45, "add", [11, 99]),
    ]


def test_every_connector_has_a_case() -> None:
    assert {case.slug for case in CASES} == set(CONNECTORS)


@every
def test_its_settings_are_free_of_mistakes(case: Case) -> None:
    declaration = connector(case).declaration
    secrets = dict.fromkeys(case.secrets, "env:SECRET")
    assert mistakes(declaration, settings=case.settings, secrets=secrets, limits={}) == []
    assert connection_mistakes(declaration, case.connection) == []
    assert connector(case).refuses(case.id_type, case.filled) is None


@every
def test_requests_carry_each_member_once_as_it_stands(case: Case) -> None:
    kept = collapse(mixed(case))
    wanted = Counter(
        (one.delivery.activation_id, one.delivery.operation, member) for one in kept for member in one.members
    )
    assert carried(planned(case, *mixed(case))) == wanted


@every
def test_of_an_identity_that_two_activations_name_the_later_word_is_the_later_request(case: Case) -> None:
    requests = planned(case, *mixed(case), items_max=7)
    places: dict[str, list[int]] = {}
    for request in requests:
        for item in request.items:
            for member in item.members:
                places.setdefault(member, []).append(item.delivery.sequence)
    assert all(sequences == sorted(sequences) for sequences in places.values())


@every
def test_the_same_items_make_the_same_requests_and_others_have_other_ids(case: Case) -> None:
    first, second = planned(case, *mixed(case)), planned(case, *mixed(case))
    assert [(one.id, one.body) for one in first] == [(one.id, one.body) for one in second]
    assert len({one.id for one in first}) == len(first)
    other = planned(case, said(case, 41, "add", range(19)))
    contents = {one.id: (carried([one]), one.body) for one in first}
    assert all(contents.get(one.id, (carried([one]), one.body)) == (carried([one]), one.body) for one in other)


@by_web
def test_an_attempt_is_a_function_of_request_and_moment(case: Case) -> None:
    for request in planned(case, *mixed(case)):
        first, again = (web(case).attempt(request, case.target) for _ in range(2))
        assert first == again
        later = web(case).attempt(request, dataclasses.replace(case.target, now_ms=NOW_MS + 90_000))
        assert (later.url, later.body) == (first.url, first.body)


@by_web
def test_headers_are_clean_and_no_identifier_is_in_them_or_in_the_address(case: Case) -> None:
    for request in planned(case, *mixed(case)):
        sent = web(case).attempt(request, case.target)
        shown = [sent.url, *sent.headers, *sent.headers.values()]
        assert all(text.isascii() and text.isprintable() for text in shown)
        assert not any(member in text for item in request.items for member in item.members for text in shown)
        assert CANARY not in repr(case.target)


@by_web
def test_a_good_answer_delivers_every_item(case: Case) -> None:
    for request in planned(case, *mixed(case)):
        found = web(case).outcomes(request, case.accepted(request))
        assert {item.id: found[item.id].fate for item in request.items} == {
            item.id: Fate.DELIVERED for item in request.items
        }


@by_web
@pytest.mark.parametrize("status", [200, 201, 204, 207, 299])
def test_no_hostile_body_breaks_it_and_no_verdict_is_of_a_stranger(case: Case, status: int) -> None:
    for request in planned(case, *mixed(case)):
        known = {item.id for item in request.items}
        for body in HOSTILE:
            found = web(case).outcomes(request, WebAnswer(status=status, headers={}, body=body))
            assert set(found) <= known


@by_web
@pytest.mark.parametrize(
    "status",
    [100, 199, 300, 301, 302, 307, 400, 401, 403, 404, 408, 409, 410, 413, 422, 425, 429, 500, 501, 503, 599, 999],
)
def test_what_is_no_success_delivers_nothing_whatever_the_body_says(case: Case, status: int) -> None:
    for request in planned(case, *mixed(case)):
        for body in (*HOSTILE, case.accepted(request).body):
            found = web(case).outcomes(request, WebAnswer(status=status, headers={}, body=body))
            assert all(verdict.fate is not Fate.DELIVERED and verdict.code for verdict in found.values())
            assert not any(
                member in v.detail for v in found.values() for item in request.items for member in item.members
            )


@by_web
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(case: Case, status: int) -> None:
    for request in planned(case, *mixed(case)):
        found = web(case).outcomes(request, WebAnswer(status=status, headers={}, body=b""))
        assert all(verdict.fate is Fate.UNAVAILABLE for verdict in found.values())


@by_web
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_never_lose_a_member(case: Case, status: int) -> None:
    for request in planned(case, *mixed(case)):
        found = web(case).outcomes(request, WebAnswer(status=status, headers={}, body=b""))
        assert all(verdict.fate is Fate.UNAUTHORIZED for verdict in found.values())


@every
def test_requests_keep_to_the_limits_in_members_and_bytes(case: Case) -> None:
    limits = connector(case).declaration.limits
    count = min(limits.items_per_request_max * 2 + 1, 25_000)
    requests = planned(case, said(case, 1, "add", range(count)), items_max=limits.items_per_request_max)
    assert sum(carried(requests).values()) == count
    for request in requests:
        assert sum(len(item.members) for item in request.items) <= limits.items_per_request_max
        assert limits.bytes_per_request_max is None or len(request.body) <= limits.bytes_per_request_max


@named([case for case in CASES if case.id_type == "customer_id"])
def test_any_text_that_can_be_an_identifier_is_carried(case: Case) -> None:
    odd = ['"', "a,b", "\\", "ü²", "日本", "🦊", "a b", "'; drop table x; --", "{{x}}", "=1+1", "<x>", "%2F", "\u2028"]
    made = dataclasses.replace(case, member=odd.__getitem__)
    requests = planned(made, said(made, 1, "add", range(len(odd))))
    assert carried(requests) == Counter(("act_1", "add", one) for one in odd)
    for request in requests:
        attempted(case, request)


@by_effect
def test_an_effect_says_each_member_once_and_shows_no_secret(case: Case) -> None:
    for request in planned(case, *mixed(case)):
        first, again = attempted(case, request), attempted(case, request)
        assert CANARY not in repr(first)
        assert repr(first) == repr(again)


def without_connection(case: Case) -> Target:
    return dataclasses.replace(case.target, connection={})


@by_web
def test_a_verification_is_of_no_connection_and_shows_no_secret_but_in_headers_and_body(case: Case) -> None:
    target = without_connection(case)
    sent = web(case).verification(target)
    assert sent == web(case).verification(target)
    assert CANARY not in sent.url
    assert all(text.isascii() and text.isprintable() for text in (sent.url, *sent.headers, *sent.headers.values()))


@by_web
def test_a_good_answer_verifies(case: Case) -> None:
    assert web(case).verified(case.let_in) is DELIVERED


@by_web
@pytest.mark.parametrize("status", NO_SUCCESS)
def test_what_is_no_success_verifies_nothing_whatever_the_body_says(case: Case, status: int) -> None:
    for body in (*HOSTILE, case.let_in.body, CANARY.encode()):
        verdict = web(case).verified(WebAnswer(status=status, headers={}, body=body))
        assert verdict.fate is not Fate.DELIVERED
        assert verdict.code is not None
        assert verdict.detail
        assert CANARY not in verdict.detail


@by_web
def test_no_hostile_body_breaks_a_verification(case: Case) -> None:
    for body in HOSTILE:
        verdict = web(case).verified(WebAnswer(status=200, headers={}, body=body))
        assert (verdict.code is None) == (verdict.fate is Fate.DELIVERED)


@by_web
@pytest.mark.parametrize(
    ("status", "fate"),
    [(401, Fate.UNAUTHORIZED), (403, Fate.UNAUTHORIZED), (429, Fate.UNAVAILABLE), (503, Fate.UNAVAILABLE)],
)
def test_who_must_act_is_told_apart_by_a_verification_too(case: Case, status: int, fate: Fate) -> None:
    assert web(case).verified(WebAnswer(status=status, headers={}, body=b"")).fate is fate


@by_effect
def test_a_check_is_of_no_connection_and_shows_no_secret(case: Case) -> None:
    found = connector(case)
    assert isinstance(found, EffectConnector)
    check = found.check(without_connection(case))
    assert check == found.check(without_connection(case))
    assert CANARY not in repr(check)


@every
def test_it_says_how_it_is_verified(case: Case) -> None:
    assert connector(case).declaration.verification.endswith(".")


@clearing_ones
def test_an_emptied_list_is_one_request_that_only_its_own_good_answer_settles(case: Case) -> None:
    ((item,),) = cut(collapse([clearing(1, 7)]), 10)
    (request,) = fitting(connector(case), [item], case.filled)
    assert request.items == (item,)
    assert web(case).attempt(request, case.target) == web(case).attempt(request, case.target)
    assert web(case).outcomes(request, case.cleared)[item.id].fate is Fate.DELIVERED
    for status in (200, 201, 204, 302, 400, 401, 404, 409, 429, 500, 999):
        for body in HOSTILE[1:]:
            found = web(case).outcomes(request, WebAnswer(status=status, headers={}, body=body))
            assert set(found) <= {item.id}
            assert status in (201, 204) or Fate.DELIVERED not in {one.fate for one in found.values()}


@every
def test_it_says_what_holds_its_members(case: Case) -> None:
    assert connector(case).declaration.lists.endswith(".")


@every
def test_part_of_a_request_can_be_sent_again(case: Case) -> None:
    """What is left of a request that succeeded in part is a request like any other, with an id of its own."""
    for request in planned(case, *mixed(case)):
        left: list[Item] = list(request.items[1:])
        if left:
            again = fitting(connector(case), left, case.filled)
            assert [item.id for one in again for item in one.items] == [item.id for item in left]
            assert request.id not in {one.id for one in again}
