"""The suite of every connector that finds and makes lists: no answer makes a list of what is none."""

import dataclasses

import pytest

from services.connectors.base import ListingConnector, ListsFound, Target
from services.connectors.declaration import connection_mistakes, filled, list_naming
from services.connectors.registry import CONNECTORS
from services.domain.delivery.answers import Fate
from services.runtime.web import WebAnswer
from tests.unit.connectors.conformance import CANARY, CASES, HOSTILE, NO_SUCCESS, Case, Listing, named

listing_ones = named([case for case in CASES if case.listing is not None])


def listing(case: Case) -> tuple[ListingConnector, Listing, Target]:
    found, known = CONNECTORS[case.slug], case.listing
    assert isinstance(found, ListingConnector)
    assert known is not None
    settings = filled(found.declaration.connection_settings, known.connection)
    return found, known, dataclasses.replace(case.target, connection=settings)


def test_every_connector_that_makes_lists_has_a_case_of_one() -> None:
    making = {slug for slug, one in CONNECTORS.items() if one.declaration.list_making is not None}
    assert making == {slug for slug, one in CONNECTORS.items() if isinstance(one, ListingConnector)}
    assert making == {case.slug for case in CASES if case.listing is not None}


@listing_ones
def test_a_list_is_named_by_its_id_or_by_all_that_it_is_made_by(case: Case) -> None:
    found, known, _ = listing(case)
    declaration = found.declaration
    making = declaration.list_making
    assert making is not None
    assert list_naming(declaration, {making.id_setting: known.list_id}) is None
    assert connection_mistakes(declaration, {making.id_setting: known.list_id}) == []
    assert list_naming(declaration, known.connection) == tuple(known.connection.values())
    assert connection_mistakes(declaration, known.connection) == []
    for name in making.made_by:
        left = {one: value for one, value in known.connection.items() if one != name}
        assert [one.field for one in connection_mistakes(declaration, left)] == [f"connection_settings.{name}"]
    for name in (" spring", "spring ", 'sp"ring', "sp\\ring", "sp\nring", "\0spring", "", "x" * 256):
        wrong = connection_mistakes(declaration, {**known.connection, making.made_by[0]: name})
        assert [one.field for one in wrong] == [f"connection_settings.{making.made_by[0]}"]


@listing_ones
def test_a_list_is_looked_for_and_made_by_requests_that_show_no_secret(case: Case) -> None:
    found, _, target = listing(case)
    for sent in (
        found.list_search(target, None),
        found.list_search(target, "7&x=y ü"),
        found.list_creation(target, case.id_type),
    ):
        assert CANARY not in sent.url
        assert all(text.isascii() and text.isprintable() for text in (sent.url, *sent.headers, *sent.headers.values()))
    assert found.list_search(target, None) == found.list_search(target, None) != found.list_search(target, "7")


@listing_ones
def test_a_good_answer_says_which_list_it_is(case: Case) -> None:
    found, known, target = listing(case)
    other = dataclasses.replace(target, connection={**target.connection, **dict.fromkeys(known.connection, "other")})
    assert found.lists_found(known.found, target, case.id_type) == ListsFound((known.list_id,))
    assert found.lists_found(known.found, other, case.id_type) == ListsFound(())
    assert found.lists_found(known.none, target, case.id_type) == ListsFound(())
    assert found.list_created(known.made) == known.list_id


@listing_ones
@pytest.mark.parametrize("status", [200, 201, *NO_SUCCESS])
def test_no_hostile_answer_is_a_list_and_who_must_act_is_told_apart(case: Case, status: int) -> None:
    found, known, target = listing(case)
    good = () if status in (200, 201) else (known.found.body, known.made.body)
    for body in (*HOSTILE, *good, CANARY.encode()):
        answer = WebAnswer(status=status, headers={}, body=body)
        searched, made = found.lists_found(answer, target, case.id_type), found.list_created(answer)
        assert not isinstance(made, str)
        if isinstance(searched, ListsFound):
            assert (status in (200, 201), searched.ids) == (True, ())
            searched = made
        for verdict in (searched, made):
            assert verdict.fate is not Fate.DELIVERED
            assert verdict.code is not None
            assert CANARY not in verdict.detail
            if status in (401, 403):
                assert verdict.fate is Fate.UNAUTHORIZED
            if status in (408, 425, 429, 500, 501, 503, 599):
                assert verdict.fate is Fate.UNAVAILABLE
