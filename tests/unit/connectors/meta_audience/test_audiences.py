"""Audiences of an ad account: the parameters of Meta's own SDK, and an account that holds to the published rules."""

from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import msgspec
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.customaudience import CustomAudience
from facebook_business.api import FacebookAdsApi

from services.connectors.meta_audience.audiences import SOURCES
from services.connectors.meta_audience.definition import MetaAudience
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import Bench
from tests.unit.activation.list_bench import asking
from tests.unit.connectors.conformance import CASES, answered, hashed
from tests.unit.connectors.meta_audience.test_meta_audience import TOKEN, emails, error
from tests.unit.domain.delivery.making import destination

NAMED = {"audience_name": "spring", "ad_account_id": "77"}


@dataclass
class Account:
    """Two audiences to a page; names are not unique, and the answers to the first `lost` creations are lost."""

    audiences: list[dict[str, str]] = field(default_factory=list)
    lost: int = 0
    members: dict[str, set[str]] = field(default_factory=dict)

    def take(self, request: WebRequest) -> WebAnswer:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        url = urlsplit(request.url)
        if url.path == "/v24.0/act_77/customaudiences":
            return self._search(parse_qs(url.query)) if request.method == "GET" else self._create(request)
        _, _, audience_id, edge = url.path.split("/")
        if edge != "users" or audience_id not in {one["id"] for one in self.audiences}:
            return error(400, 100, 33)
        rows = msgspec.json.decode(request.body)["payload"]["data"]
        self.members.setdefault(audience_id, set()).update(rows)
        return answered({"num_received": len(rows), "num_invalid_entries": 0})

    def _search(self, query: dict[str, list[str]]) -> WebAnswer:
        assert (query["fields"], query["limit"]) == (["id,name,subtype"], ["100"])
        start = int(query["after"][0].removeprefix("Q=") if "after" in query else 0)
        shown, more = self.audiences[start : start + 2], start + 2 < len(self.audiences)
        cursors = {"before": f"Q={start}", "after": f"Q={start + 2}"}
        paging = {"cursors": cursors} | ({"next": "https://graph.facebook.com/…"} if more else {})
        return answered({"data": shown, "paging": paging})

    def _create(self, request: WebRequest) -> WebAnswer:
        said = msgspec.json.decode(request.body)
        if said["subtype"] != "CUSTOM" or said["customer_file_source"] not in SOURCES:
            return error(400, 100)
        made = {"id": str(23_850_000_000_000 + len(self.audiences)), "name": said["name"], "subtype": "CUSTOM"}
        self.audiences.append(made)
        if self.lost:
            self.lost -= 1
            return WebAnswer(504, {}, b"")
        return answered({"id": made["id"], "message": "Custom audience created."})


def bench(account: Account) -> Bench:
    to = destination(connector="meta-audience", secrets={"access_token": "env:USHER_SECRET_TOKEN"})
    made = Bench(to=msgspec.structs.replace(to, settings={}), environment={"USHER_SECRET_TOKEN": TOKEN})
    made.web.otherwise = account.take
    asking(made, NAMED, "email_sha256")
    return made


async def test_an_audience_is_made_once_though_names_are_not_unique_there_and_the_answer_is_lost() -> None:
    account = Account([{"id": str(n), "name": f"other {n}", "subtype": "CUSTOM"} for n in range(5)], lost=1)
    await bench(account).deliver(emails(1, "add", range(3)))
    assert [one["name"] for one in account.audiences].count("spring") == 1
    assert account.members == {account.audiences[-1]["id"]: {hashed(n) for n in range(3)}}


async def test_an_audience_that_is_none_of_customers_is_not_taken() -> None:
    account = Account([{"id": "1", "name": "spring", "subtype": "WEBSITE"}])
    made = bench(account)

    def rename() -> None:
        account.audiences[0]["name"] = "visitors"

    made.clock.events.append((1000.0, rename))
    await made.deliver(emails(1, "add", range(3)))
    assert [one["name"] for one in account.audiences] == ["visitors", "spring"]


def test_what_is_asked_is_what_metas_own_sdk_asks() -> None:
    (case,) = [one for one in CASES if one.slug == "meta-audience"]
    assert case.listing is not None
    target = case.target
    settings = {**target.connection, **case.listing.connection}
    sent = MetaAudience().list_creation(replace(target, connection=settings), "email_sha256")
    params = msgspec.json.decode(sent.body)
    account = AdAccount("act_1", api=FacebookAdsApi.init(access_token="t", crash_log=False))
    theirs = account.create_custom_audience(params=params, pending=True)
    assert urlsplit(sent.url).path == f"/v24.0/{theirs._node_id}/{theirs._endpoint.strip('/')}"
    assert theirs._params == params
    assert set(SOURCES) == {
        value for name, value in vars(CustomAudience.CustomerFileSource).items() if not name.startswith("_")
    }
