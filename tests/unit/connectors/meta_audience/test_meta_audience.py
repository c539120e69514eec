"""Meta custom audiences: the payloads of Meta's own SDK, and a platform that holds to the published rules."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
import pytest
from facebook_business.adobjects.customaudience import CustomAudience

from contracts import codes
from contracts.codes import Code
from contracts.messages.delivery import Delivery
from contracts.messages.entities import Connection, Destination
from services.activation.verifier import verified
from services.connectors.meta_audience.definition import MetaAudience
from services.domain.delivery.merge import collapse, cut
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import Bench
from tests.unit.connectors.conformance import hashed
from tests.unit.domain.delivery.making import delivery, destination

TOKEN = "EAAB-good"
HASH = re.compile(r"[0-9a-f]{64}")


def emails(sequence: int, operation: str, numbers: range, id_type: str = "email_sha256") -> Delivery:
    return msgspec.structs.replace(delivery(sequence, operation, [hashed(n) for n in numbers]), id_type=id_type)


@dataclass
class Platform:
    """The endpoint as its reference has it: one token, one audience, 10,000 rows, hashes in their form, throttling."""

    token: str = TOKEN
    permissions: tuple[str, ...] = ("ads_management", "business_management")
    members: set[str] = field(default_factory=set)
    asked: int = 0
    throttled: int = 0
    lost: int = 0  # the first so many changes take effect, and their answers are lost

    def take(self, request: WebRequest) -> WebAnswer:
        self.asked += 1
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return error(401, 190)
        if (request.method, urlsplit(request.url).path) == ("GET", "/v24.0/me/permissions"):
            granted = [{"permission": one, "status": "granted"} for one in self.permissions]
            return WebAnswer(200, {}, msgspec.json.encode({"data": granted, "paging": {}}))
        if urlsplit(request.url).path != "/v24.0/238/users":
            return error(400, 100, 33)
        if self.throttled:
            self.throttled -= 1
            return error(400, 80003)
        payload = msgspec.json.decode(request.body)["payload"]
        rows = payload["data"]
        if not 1 <= len(rows) <= 10_000 or payload["schema"] != "EMAIL_SHA256":
            return error(400, 100)
        good = {row for row in rows if HASH.fullmatch(row)}
        self.members = self.members | good if request.method == "POST" else self.members - good
        if self.lost:
            self.lost -= 1
            return WebAnswer(504, {}, b"")
        said = {"audience_id": "238", "num_received": len(rows), "num_invalid_entries": len(rows) - len(good)}
        return WebAnswer(200, {}, msgspec.json.encode(said))


def error(status: int, code: int, subcode: int = 0) -> WebAnswer:
    return WebAnswer(status, {}, msgspec.json.encode({"error": {"code": code, "error_subcode": subcode}}))


def bench(platform: Platform, audience_id: str = "238") -> Bench:
    to: Destination = destination(connector="meta-audience", secrets={"access_token": "env:USHER_SECRET_TOKEN"})
    made = Bench(to=msgspec.structs.replace(to, settings={}), environment={"USHER_SECRET_TOKEN": TOKEN})
    made.web.otherwise = platform.take
    made.catalogue.connection = Connection(
        space_id="acme", name="con_1", created_at="", updated_at="", connection_id="con_1", audience_id="aud_1",
        destination_id="des_1", connection_settings={"audience_id": audience_id},
    )  # fmt: skip
    return made


async def test_the_list_is_the_audience_through_throttling_lost_answers_and_limits() -> None:
    platform = Platform(throttled=2, lost=2)
    lane = bench(platform)
    await lane.deliver(emails(1, "add", range(25_000)), emails(2, "remove", range(5)))
    await lane.deliver(emails(3, "add", range(3)), emails(4, "remove", range(100, 200)), first_offset=2)
    assert platform.members == {hashed(n) for n in range(25_000) if n < 3 or n >= 5} - {
        hashed(n) for n in range(100, 200)
    }
    assert lane.counts()["dead"] == 0


@pytest.mark.parametrize(
    ("platform", "code"),
    [
        (Platform(), None),
        (Platform(token="another"), codes.DELIVERY_AUTHENTICATION),
        (Platform(permissions=("email",)), codes.DELIVERY_AUTHENTICATION),
        (Platform(throttled=1), None),
    ],
)
async def test_it_is_verified_by_what_the_token_may(platform: Platform, code: Code | None) -> None:
    made = bench(platform)
    verdict = await verified(made.catalogue.present, made.ports)
    assert verdict.code is code
    assert platform.asked == 1
    assert platform.members == set()


@pytest.mark.parametrize(
    ("platform", "audience_id", "state"),
    [
        (Platform(token="another"), "238", ("parked", "delivery-authentication")),
        (Platform(), "239", ("parked", "delivery-settings-invalid")),
    ],
)
async def test_what_somebody_must_mend_is_waited_for(
    platform: Platform, audience_id: str, state: tuple[str, str]
) -> None:
    lane = bench(platform, audience_id)

    def mend() -> None:
        platform.token = TOKEN
        assert lane.catalogue.connection is not None
        lane.catalogue.connection = msgspec.structs.replace(
            lane.catalogue.connection, connection_settings={"audience_id": "238"}
        )

    lane.clock.events.append((1000.0, mend))
    await lane.deliver(emails(1, "add", range(3)))
    assert lane.states()[0] == state
    assert platform.members == {hashed(n) for n in range(3)}


@pytest.mark.parametrize("id_type", ["email_sha256", "phone_sha256", "maid", "customer_id"])
def test_payloads_are_those_of_metas_own_sdk(id_type: str) -> None:
    (items,) = cut(collapse([emails(1, "add", range(3), id_type)]), 10)
    (request,) = MetaAudience().requests(items, {})
    payload = msgspec.json.decode(request.body)["payload"]
    schema, members = payload["schema"], [hashed(n) for n in range(3)]
    rows = [[member] for member in members] if isinstance(schema, list) else members
    theirs = CustomAudience.format_params(schema, rows, is_raw=isinstance(schema, list), pre_hashed=True)
    assert payload == theirs["payload"]


@pytest.mark.parametrize(
    ("status", "code", "subcode", "fate"),
    [
        (400, 100, 0, "refused"),
        (400, 100, 33, "blocked"),
        (400, 100, 1713230, "blocked"),
        (400, 190, 463, "unauthorized"),
        (400, 80003, 0, "unavailable"),
        (400, 2650, 1870147, "refused"),
        (403, 200, 0, "unauthorized"),
        (500, 2, 0, "unavailable"),
        (200, 100, 0, None),
    ],
)
def test_what_metas_errors_mean(status: int, code: int, subcode: int, fate: str | None) -> None:
    (items,) = cut(collapse([emails(1, "add", range(3))]), 10)
    (request,) = MetaAudience().requests(items, {})
    found = MetaAudience().outcomes(request, error(status, code, subcode))
    assert {verdict.fate.value for verdict in found.values()} == ({fate} if fate else set())
