"""User lists: Google's own protobuf models read what is asked, and write what is answered."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from google.ads import datamanager_v1
from google.protobuf import json_format

from contracts import codes
from contracts.messages.entities import Connection
from services.connectors.base import ListsFound, Target
from services.connectors.google_data_manager import user_lists
from services.domain.delivery.answers import Verdict
from services.runtime.failures import Rejected
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.list_bench import asking
from tests.unit.connectors.conformance import CASES, hashed
from tests.unit.connectors.google_data_manager.test_google_data_manager import Platform, people, platform, problem

PARENT = "/v1/accountTypes/GOOGLE_ADS/accounts/1234567890/userLists"
UserList = datamanager_v1.UserList
KEYS = {"email_sha256": "CONTACT_ID", "customer_id": "USER_ID"}


def target() -> Target:
    (case, *_) = [one for one in CASES if one.slug == "google-data-manager"]
    assert case.listing is not None
    return replace(case.target, connection=case.listing.connection)


def shown(*lists: UserList, more: str = "") -> WebAnswer:
    """As Google's own models write it: ids are texts."""
    form = datamanager_v1.ListUserListsResponse
    made = form(user_lists=list(lists), next_page_token=more)
    return WebAnswer(200, {}, str(form.to_json(made, use_integers_for_enums=False)).encode())


def user_list(id_: int, name: str, *kinds: str, read_only: bool = False) -> UserList:
    return UserList(
        id=id_, display_name=name, read_only=read_only, ingested_user_list_info={"upload_key_types": list(kinds)}
    )


@pytest.mark.parametrize("id_type", KEYS)
def test_googles_own_models_read_what_is_made(id_type: str) -> None:
    sent = user_lists.creation(target(), id_type)
    found = UserList.wrap(json_format.Parse(sent.body, UserList.pb(UserList())))
    assert (sent.method, urlsplit(sent.url).path) == ("POST", PARENT)
    assert found.display_name == "spring"
    assert [one.name for one in found.ingested_user_list_info.upload_key_types] == [KEYS[id_type]]


def test_a_list_of_mobile_ids_is_of_an_app_and_not_made() -> None:
    with pytest.raises(Rejected) as refused:
        user_lists.creation(target(), "aaid")
    assert refused.value.code is codes.DELIVERY_LIST_REFUSED


def test_it_is_asked_for_by_its_name_page_by_page() -> None:
    first, next_ = user_lists.search(target(), None), user_lists.search(target(), "a b")
    assert (first.method, urlsplit(first.url).path) == ("GET", PARENT)
    asked = {"filter": ['display_name = "spring"'], "pageSize": ["1000"]}
    assert parse_qs(urlsplit(first.url).query) == asked
    assert parse_qs(urlsplit(next_.url).query) == {**asked, "pageToken": ["a b"]}


@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        (shown(), ()),
        (shown(user_list(7, "Spring", "CONTACT_ID")), ()),
        (shown(user_list(7, "spring", "CONTACT_ID"), user_list(8, "spring", "USER_ID", "CONTACT_ID")), ("7", "8")),
        (shown(user_list(7, "spring", "USER_ID")), None),
        (shown(user_list(7, "spring", "CONTACT_ID", read_only=True)), None),
        (shown(UserList(id=7, display_name="spring")), None),
    ],
)
def test_one_of_the_name_has_to_take_what_is_sent(answer: WebAnswer, ids: tuple[str, ...] | None) -> None:
    found = user_lists.found(answer, target().connection, "email_sha256")
    if ids is None:
        assert isinstance(found, Verdict)
        assert found.code is codes.DELIVERY_LIST_REFUSED
    else:
        assert found == ListsFound(ids)
    again = user_lists.found(shown(more="next"), target().connection, "email_sha256")
    assert again == ListsFound((), "next")


async def test_a_list_is_made_once_though_the_answer_is_lost_and_then_it_is_the_audience() -> None:
    google = platform()
    asking(google.bench, {"audience_name": "spring"}, "email_sha256")
    lists: list[UserList] = []
    lost = [True]

    def take(request: WebRequest) -> WebAnswer:
        if urlsplit(request.url).path != PARENT:
            return Platform.take(google, request)
        assert request.headers["login-account"] == "accountTypes/GOOGLE_ADS/accounts/111"
        if request.method == "GET":
            return shown(*lists)
        lists.append(UserList.wrap(json_format.Parse(request.body, UserList.pb(UserList()))))
        lists[-1].id = int(google.audience_id)
        return problem(503, "UNAVAILABLE") if lost.pop() else shown()

    google.bench.web.otherwise = take
    await google.bench.deliver(people(1, "add", range(3)))
    assert len(lists) == 1
    assert google.members == {hashed(n) for n in range(3)}
    assert isinstance(google.bench.catalogue.connection, Connection)
    assert google.bench.catalogue.connection.external_audience_id == google.audience_id
    assert msgspec.json.decode(google.bench.web.sent[-1][1].body)["destinations"][0]["productDestinationId"] == "238"
