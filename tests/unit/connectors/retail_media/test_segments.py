"""Contact-list segments: the models of Criteo's own SDK read what is asked, and what it answers is understood."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from criteo_api_retailmedia_v2027_01.api.audience_api import AudienceApi
from criteo_api_retailmedia_v2027_01.model.rm_audience_segment_bulk_create_input_v1 import (
    RmAudienceSegmentBulkCreateInputV1,
)
from criteo_api_retailmedia_v2027_01.model.rm_audience_segment_search_input_v1 import RmAudienceSegmentSearchInputV1
from criteo_api_retailmedia_v2027_01.model_utils import validate_and_convert_types

from contracts import codes
from services.connectors.base import ListsFound, Target
from services.connectors.retail_media import segments
from services.connectors.retail_media.contact_list import IDENTIFIER_TYPES
from services.domain.delivery.answers import Verdict
from services.runtime.failures import Rejected
from tests.unit.connectors.conformance import CASES, answered


def target() -> Target:
    (case,) = [one for one in CASES if one.slug == "retail-media"]
    assert case.listing is not None
    return replace(case.target, connection=case.listing.connection)


@pytest.mark.parametrize("id_type", [one for one, kind in IDENTIFIER_TYPES.items() if kind != "Gum"])
def test_criteos_own_models_take_what_is_made(id_type: str) -> None:
    sent = segments.creation(target(), id_type)
    endpoint = AudienceApi().bulk_create_audience_segments_endpoint
    path = endpoint.settings["endpoint_path"].replace("{account-id}", "1")
    assert (sent.method, urlsplit(sent.url).path) == (endpoint.settings["http_method"], path)
    found = validate_and_convert_types(
        msgspec.json.decode(sent.body), (RmAudienceSegmentBulkCreateInputV1,), ["body"], True, True
    )
    (one,) = found.data
    assert (one.attributes.name, one.attributes.retailer_id) == ("spring", "2")
    assert one.attributes.contact_list.identifier_type == IDENTIFIER_TYPES[id_type]


def test_criteos_own_models_take_what_is_searched_for() -> None:
    sent = segments.search(target(), "500")
    endpoint = AudienceApi().search_audience_segments_endpoint
    path = endpoint.settings["endpoint_path"].replace("{account-id}", "1")
    assert (sent.method, urlsplit(sent.url).path) == (endpoint.settings["http_method"], path)
    assert parse_qs(urlsplit(sent.url).query) == {"offset": ["500"], "limit": ["500"]}
    most = endpoint.validations[("limit",)]["inclusive_maximum"]
    assert most == 500
    validate_and_convert_types(msgspec.json.decode(sent.body), (RmAudienceSegmentSearchInputV1,), ["body"], True, True)


def test_a_list_that_criteo_makes_none_of_is_not_asked_for() -> None:
    with pytest.raises(Rejected) as refused:
        segments.creation(target(), "gum")
    assert refused.value.code is codes.DELIVERY_LIST_REFUSED


@pytest.mark.parametrize(
    ("offset", "count", "total", "following"),
    [(0, 0, 0, None), (0, 3, 3, None), (0, 3, 4, "3"), (3, 1, 4, None), (3, 0, 9, None)],
)
def test_a_search_goes_on_until_all_is_seen(offset: int, count: int, total: int, following: str | None) -> None:
    shown = [{"id": str(n), "attributes": {"name": f"other {n}"}} for n in range(count)]
    answer = answered({"data": shown, "meta": {"offset": offset, "limit": 3, "totalItems": total}})
    assert segments.found(answer, target().connection, "email_sha256") == ListsFound((), following)


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ({"type": "validation", "code": "name-must-be-unique"}, codes.DELIVERY_UNAVAILABLE),
        ({"type": "availability", "code": "x"}, codes.DELIVERY_UNAVAILABLE),
        ({"type": "quota", "code": "x"}, codes.DELIVERY_UNAVAILABLE),
        ({"type": "authorization", "code": "x"}, codes.DELIVERY_LIST_REFUSED),
    ],
)
@pytest.mark.parametrize("where", ["errors", "warnings"])
def test_a_segment_that_was_not_made_is_among_the_problems(
    problem: dict[str, str], code: codes.Code, where: str
) -> None:
    for said in ({where: [problem]}, {"data": [], where: [problem]}):
        verdict = segments.created(answered(said))
        assert isinstance(verdict, Verdict)
        assert verdict.code is code
