"""Criteo contact lists: the models of Criteo's own SDK, and a platform that holds to the published rules."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from criteo_api_retailmedia_v2027_01.api.audience_api import AudienceApi
from criteo_api_retailmedia_v2027_01.model.retail_media_contactlist_amendment_request import (
    RetailMediaContactlistAmendmentRequest,
)
from criteo_api_retailmedia_v2027_01.model_utils import validate_and_convert_types

from contracts import codes
from contracts.codes import Code
from contracts.messages.delivery import Delivery
from contracts.messages.entities import Connection
from services.activation.verifier import verified
from services.connectors.retail_media.contact_list import IDENTIFIER_TYPES
from services.connectors.retail_media.definition import DECLARATION, RetailMedia
from services.domain.delivery.answers import Fate
from services.domain.delivery.merge import collapse, cut
from services.runtime.failures import Unavailable
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import Bench
from tests.unit.connectors.conformance import CASES, answered, hashed
from tests.unit.domain.delivery.making import delivery, destination

LIVES_SECONDS = 900


def emails(sequence: int, operation: str, numbers: range) -> Delivery:
    return msgspec.structs.replace(delivery(sequence, operation, [hashed(n) for n in numbers]), id_type="email_sha256")


@dataclass
class Platform:
    """The endpoints as their reference has them: tokens that expire, one segment, 50,000 identifiers of one type."""

    bench: Bench
    secret: str = "s3cret"
    segment_id: str = "4711"
    accounts: tuple[str, ...] = ("18446744073709551616",)
    members: set[str] = field(default_factory=set)
    tokens: dict[str, float] = field(default_factory=dict)  # until when
    granted: int = 0
    script: list[int] = field(default_factory=list)  # answers before anything is done
    lost: int = 0  # the first so many changes take effect, and their answers are lost

    def take(self, request: WebRequest) -> WebAnswer:
        path = urlsplit(request.url).path
        if path == "/oauth2/token":
            return self._grant(request)
        now = self.bench.clock.seconds
        scheme, _, token = request.headers["authorization"].partition(" ")
        if scheme != "Bearer" or self.tokens.get(token, 0.0) <= now:
            return problem(401, "access-control", "authorization-token-invalid")
        if self.script:
            return problem(self.script.pop(0), "availability", "internal-error")
        if (request.method, path) == ("GET", "/2027-01/retail-media/accounts"):
            return answered({"data": [{"type": "RetailMediaAccount", "id": one} for one in self.accounts]})
        if path != f"/2027-01/retail-media/audience-segments/{self.segment_id}/contact-list/add-remove":
            return problem(404, "validation", "segment-not-found")
        return self._change(request)

    def _grant(self, request: WebRequest) -> WebAnswer:
        form = parse_qs(request.body.decode(), strict_parsing=True)
        assert (form["grant_type"], form["client_id"]) == (["client_credentials"], ["app"])
        if form["client_secret"] != [self.secret]:
            return problem(400, "access-control", "invalid_client")
        self.granted += 1
        token = f"token-{self.granted}"
        self.tokens[token] = self.bench.clock.seconds + LIVES_SECONDS
        return answered({"access_token": token, "token_type": "Bearer", "expires_in": LIVES_SECONDS})

    def _change(self, request: WebRequest) -> WebAnswer:
        data = msgspec.json.decode(request.body)["data"]
        said = data["attributes"]
        if not 1 <= len(said["identifiers"]) <= 50_000 or said["identifierType"] != "Email":
            return problem(400, "validation", "too-many-identifiers")
        if said["operation"] == "add":
            self.members |= set(said["identifiers"])
        else:
            assert said["operation"] == "remove"
            self.members -= set(said["identifiers"])
        if self.lost:
            self.lost -= 1
            raise Unavailable("reset")
        count = len(said["identifiers"])
        result = {"operation": said["operation"], "nbValidIdentifiers": count, "nbInvalidIdentifiers": 0}
        return answered({"type": "AddRemoveContactlistResult", "data": result, "errors": [], "warnings": []})


def problem(status: int, kind: str, code: str) -> WebAnswer:
    return WebAnswer(status, {}, msgspec.json.encode({"errors": [{"type": kind, "code": code}]}))


def platform(segment_id: str = "4711") -> Platform:
    secrets = {"client_id": "env:USHER_SECRET_ID", "client_secret": "env:USHER_SECRET_APP"}
    to = msgspec.structs.replace(destination(connector="retail-media", secrets=secrets), settings={})
    made = Platform(Bench(to=to, environment={"USHER_SECRET_ID": "app", "USHER_SECRET_APP": "s3cret"}))
    made.bench.web.otherwise = made.take
    made.bench.catalogue.connection = Connection(
        space_id="acme", name="con_1", created_at="", updated_at="", connection_id="con_1", audience_id="aud_1",
        destination_id="des_1", connection_settings={"segment_id": segment_id},
    )  # fmt: skip
    return made


def holds(one: Platform, *numbers: range) -> bool:
    return one.members == {hashed(n) for part in numbers for n in part}


async def test_the_list_is_the_audience_through_throttling_lost_answers_and_limits() -> None:
    criteo = platform()
    criteo.script, criteo.lost = [429, 503], 2
    await criteo.bench.deliver(emails(1, "add", range(60_000)), emails(2, "remove", range(5)))
    await criteo.bench.deliver(emails(3, "add", range(3)), emails(4, "remove", range(100, 200)), first_offset=2)
    assert holds(criteo, range(3), range(5, 100), range(200, 60_000))
    assert criteo.bench.counts()["dead"] == 0
    assert criteo.granted == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"secret": "another"}, codes.DELIVERY_AUTHENTICATION),
        ({"accounts": ()}, codes.DELIVERY_AUTHENTICATION),
        ({"script": [503]}, codes.DELIVERY_UNAVAILABLE),
        ({"script": [404]}, codes.DELIVERY_SETTINGS_INVALID),
    ],
)
async def test_it_is_verified_by_a_new_token_and_an_account(changes: dict[str, object], code: Code | None) -> None:
    criteo = platform()
    await criteo.bench.deliver(emails(1, "add", range(1)))  # lanes have a token, and it lives
    for name, value in changes.items():
        setattr(criteo, name, value)
    verdict = await verified(criteo.bench.catalogue.present, criteo.bench.ports)
    assert verdict.code is code
    assert holds(criteo, range(1))


async def test_a_token_is_kept_until_shortly_before_its_end() -> None:
    criteo = platform()
    for n, seconds in enumerate([0.0, 830.0, 8.0, 3.0]):
        criteo.bench.clock.seconds += seconds
        await criteo.bench.deliver(emails(n, "add", range(n, n + 1)), first_offset=n)
    assert holds(criteo, range(4))
    assert criteo.granted == 2
    assert criteo.bench.states() == [("delivering", None)]


async def test_a_token_that_is_revoked_is_fetched_anew_and_the_request_sent_again() -> None:
    criteo = platform()
    await criteo.bench.deliver(emails(1, "add", range(1)))
    criteo.tokens.clear()
    await criteo.bench.deliver(emails(2, "add", range(1, 2)), first_offset=1)
    assert holds(criteo, range(2))
    assert criteo.granted == 2
    assert criteo.bench.clock.seconds < 2, "nothing but the rate is waited for"
    assert criteo.bench.states() == [("delivering", None)]


@pytest.mark.parametrize(
    ("secret", "segment_id", "state"),
    [
        ("another", "4711", ("parked", "delivery-authentication")),
        ("s3cret", "4712", ("parked", "delivery-settings-invalid")),
    ],
)
async def test_what_somebody_must_mend_is_waited_for(secret: str, segment_id: str, state: tuple[str, str]) -> None:
    criteo = platform(segment_id)
    criteo.secret = secret

    def mend() -> None:
        criteo.secret, criteo.segment_id = "s3cret", segment_id

    criteo.bench.clock.events.append((1000.0, mend))
    await criteo.bench.deliver(emails(1, "add", range(3)))
    assert criteo.bench.states()[0] == state
    assert holds(criteo, range(3))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"access_token":7}'])
async def test_no_token_in_the_answer_is_waited_for(body: bytes) -> None:
    criteo = platform()
    criteo.bench.web.script = [WebAnswer(200, {}, body), WebAnswer(503, {"retry-after": "70"}, b"")]
    await criteo.bench.deliver(emails(1, "add", range(3)))
    assert holds(criteo, range(3))
    assert criteo.bench.states() == [("retrying", "delivery-unavailable"), ("delivering", None)]
    assert criteo.bench.clock.seconds >= 70


def case_request(operation: str, id_type: str) -> tuple[WebRequest, RetailMedia]:
    (case,) = [one for one in CASES if one.slug == "retail-media"]
    said = msgspec.structs.replace(delivery(1, operation, ["x"]), id_type=id_type)
    connector = RetailMedia()
    ((items,),) = [list(cut(collapse([said]), 10))]
    (made,) = connector.requests(items, case.filled)
    return connector.attempt(made, case.target), connector


@pytest.mark.parametrize("operation", ["add", "remove"])
@pytest.mark.parametrize("id_type", IDENTIFIER_TYPES)
def test_criteos_own_models_take_what_is_sent(operation: str, id_type: str) -> None:
    """The SDK checks names, types and the words of enumerations; a wrong one raises."""
    sent, _ = case_request(operation, id_type)
    endpoint = AudienceApi().add_remove_contact_list_by_audience_segment_endpoint
    path = endpoint.settings["endpoint_path"].replace("{audience-segment-id}", "4711")
    assert (sent.method, urlsplit(sent.url).path) == (endpoint.settings["http_method"], path)
    found = validate_and_convert_types(
        msgspec.json.decode(sent.body), (RetailMediaContactlistAmendmentRequest,), ["body"], True, True
    )
    attributes = found.data.attributes
    assert (attributes.operation, attributes.identifier_type) == (operation, IDENTIFIER_TYPES[id_type])
    assert attributes.identifiers == ["x"]


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        (answered({"data": {"operation": "Add"}, "errors": None}), Fate.DELIVERED),
        (answered({"data": {"operation": "remove"}}), None),
        (answered({"data": {"operation": "add"}, "errors": [{"type": "availability"}]}), Fate.UNAVAILABLE),
        (answered({"data": {"operation": "add"}, "errors": [{"type": "validation"}]}), Fate.REFUSED),
        (problem(400, "validation", "x"), Fate.REFUSED),
        (problem(404, "validation", "segment-not-found"), Fate.BLOCKED),
        (problem(410, "deprecation", "x"), Fate.BLOCKED),
        (problem(403, "authorization", "x"), Fate.UNAUTHORIZED),
    ],
)
def test_what_an_answer_means(answer: WebAnswer, fate: Fate | None) -> None:
    said = msgspec.structs.replace(delivery(1, "add", ["x"]), id_type="gum")
    (items,) = cut(collapse([said]), 10)
    (made,) = RetailMedia().requests(items, {})
    verdicts = RetailMedia().outcomes(made, answer)
    assert [one.fate for one in verdicts.values()] == ([] if fate is None else [fate])


def test_phone_numbers_are_not_taken() -> None:
    assert RetailMedia().refuses("phone_sha256", {}) is not None
    assert DECLARATION.limits.items_per_request_max == 50_000
