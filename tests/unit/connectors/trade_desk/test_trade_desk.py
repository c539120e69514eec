"""First-party data at The Trade Desk: a platform that holds to the published rules, failed lines and expiry included."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
import pytest

from contracts import codes
from contracts.codes import Code
from contracts.messages.delivery import Delivery
from services.activation.verifier import verified
from services.connectors.trade_desk.definition import DECLARATION, TradeDesk
from services.domain.delivery.answers import Fate
from services.domain.delivery.merge import collapse, cut
from services.runtime.failures import Unavailable
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import Bench
from tests.unit.connectors.conformance import answered
from tests.unit.domain.delivery.making import delivery, destination

TOKEN = "ttd-good"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def device(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def said(sequence: int, operation: str, members: list[str], id_type: str = "maid") -> Delivery:
    made = delivery(sequence, operation, members)
    return msgspec.structs.replace(made, id_type=id_type, activation_name="spring")


def devices(sequence: int, operation: str, numbers: range) -> Delivery:
    return said(sequence, operation, [device(n) for n in numbers])


@dataclass
class Platform:
    """The endpoint as its OpenAPI has it: no field it doesn't know, one advertiser, 2.5 MB, lines that fail alone."""

    bench: Bench
    token: str = TOKEN
    members: dict[tuple[str, str], int] = field(default_factory=dict)  # minutes by (segment, device)
    script: list[WebAnswer] = field(default_factory=list)
    lost: int = 0

    def take(self, request: WebRequest) -> WebAnswer:
        if request.headers["ttd-auth"] != self.token:
            return WebAnswer(401, {}, b'{"ErrorCode":"InvalidToken"}')
        if self.script:
            return self.script.pop(0)
        assert (request.method, urlsplit(request.url).path) == ("POST", "/data/advertiser")
        if len(request.body) > 2_500_000:
            return WebAnswer(413, {}, b"")
        body = msgspec.json.decode(request.body)
        assert (set(body), body["AdvertiserId"]) == ({"AdvertiserId", "Items"}, "adv1")
        if not body["Items"]:
            return WebAnswer(400, {}, b'{"ErrorCode":"MissingData"}')
        lines = [(n, self._line(item)) for n, item in enumerate(body["Items"], start=1)]
        failed = [{"ErrorCode": code, "ItemNumber": str(n), "Message": f"Invalid DAID, item #{n}"}
                  for n, code in lines if code]  # fmt: skip
        if self.lost:
            self.lost -= 1
            raise Unavailable("reset")
        return answered({"FailedLines": failed} if failed else {})

    def _line(self, item: dict[str, object]) -> str | None:
        assert set(item) == {"DAID", "Data"}
        assert isinstance(item["Data"], list)
        (data,) = item["Data"]
        if not UUID.fullmatch(str(item["DAID"])):
            return "MissingUserId"
        if not (data["TtlInMinutes"] == 0 or 1 <= data["TtlInMinutes"] <= 259_200):
            return "InvalidTtlInMinutes"
        self.members[(data["Name"], str(item["DAID"]))] = data["TtlInMinutes"]
        return None

    def alive(self) -> set[str]:
        return {member for (name, member), minutes in self.members.items() if minutes and name == "spring"}


def platform() -> Platform:
    to = destination(connector="trade-desk", secrets={"token": "env:USHER_SECRET_TOKEN"})
    settings = {"url": "https://use-data.adsrvr.org", "advertiser_id": "adv1"}
    made = Platform(Bench(to=msgspec.structs.replace(to, settings=settings), environment={"USHER_SECRET_TOKEN": TOKEN}))
    made.bench.web.otherwise = made.take
    return made


async def test_the_segment_is_the_audience_through_throttling_lost_answers_and_limits() -> None:
    desk = platform()
    desk.script, desk.lost = [WebAnswer(429, {"retry-after": "5"}, b""), WebAnswer(503, {}, b"")], 1
    await desk.bench.deliver(devices(1, "add", range(12_000)), devices(2, "remove", range(5)))
    await desk.bench.deliver(devices(3, "add", range(3)), devices(4, "remove", range(100, 200)), first_offset=2)
    assert desk.alive() == {device(n) for n in range(12_000) if n < 3 or 5 <= n < 100 or n >= 200}
    assert set(desk.members.values()) == {0, 129_600}
    assert desk.bench.counts()["dead"] == 0


async def test_a_failed_line_is_refused_alone() -> None:
    desk = platform()
    mixed = [device(1), "no device", device(2), "nor this"]
    await desk.bench.deliver(said(1, "add", mixed), devices(2, "add", range(3, 5)), said(3, "add", ["none of it"]))
    assert desk.alive() == {device(n) for n in range(1, 5)}
    assert desk.bench.counts() == {"delivered": 4, "merged": 0, "dead": 3, "uploads": 1}
    assert desk.bench.letter_codes() == ["delivery-permanent"] * 2
    assert desk.bench.states() == [("delivering", None)]


@pytest.mark.parametrize(
    ("token", "script", "code"),
    [
        (TOKEN, [], None),
        (TOKEN, [WebAnswer(200, {}, b"{}")], None),
        ("another", [], codes.DELIVERY_AUTHENTICATION),
        (TOKEN, [WebAnswer(400, {}, b'{"ErrorCode":"IncorrectContent"}')], codes.DELIVERY_PERMANENT),
        (TOKEN, [WebAnswer(403, {}, b'{"ErrorCode":"AdvertiserMisconfigured"}')], codes.DELIVERY_SETTINGS_INVALID),
        (TOKEN, [WebAnswer(403, {}, b'{"ErrorCode":"IncorrectPermissions"}')], codes.DELIVERY_AUTHENTICATION),
    ],
)
async def test_it_is_verified_by_a_request_of_no_lines(token: str, script: list[WebAnswer], code: Code | None) -> None:
    desk = platform()
    desk.token, desk.script = token, script
    verdict = await verified(desk.bench.catalogue.present, desk.bench.ports)
    assert verdict.code is code
    assert desk.members == {}


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (403, b'{"ErrorCode":"AdvertiserMisconfigured"}', ("parked", "delivery-settings-invalid")),
        (403, b'{"ErrorCode":"TargetingDataLimitReached"}', ("parked", "delivery-settings-invalid")),
        (404, b'{"ErrorCode":"EndpointNotConfigured"}', ("parked", "delivery-settings-invalid")),
        (429, b"", ("retrying", "delivery-unavailable")),
    ],
)
async def test_what_somebody_must_mend_is_waited_for(status: int, body: bytes, state: tuple[str, str]) -> None:
    desk = platform()
    desk.script = [WebAnswer(status, {}, body)]
    await desk.bench.deliver(devices(1, "add", range(3)))
    assert desk.bench.states() == [state, ("delivering", None)]
    assert desk.alive() == {device(n) for n in range(3)}


async def test_a_refused_token_is_read_anew_and_then_waited_for() -> None:
    desk = platform()
    desk.token = "another"
    desk.bench.clock.events.append((1000.0, lambda: setattr(desk, "token", TOKEN)))
    await desk.bench.deliver(devices(1, "add", range(3)))
    assert desk.bench.states() == [("parked", "delivery-authentication"), ("delivering", None)]


@pytest.mark.parametrize(
    ("body", "fate"),
    [
        (b"{}", Fate.DELIVERED),
        (b'{"FailedLines":null}', Fate.DELIVERED),
        (b'{"FailedLines":[{"ItemNumber":"1"},{"ItemNumber":"2"}]}', Fate.REFUSED),
        (b'{"FailedLines":[{"Message":"Invalid DAID, item #2"}]}', Fate.DELIVERED),
        (b'{"FailedLines":[{"ItemNumber":"3"}]}', None),
        (b'{"FailedLines":[{"ItemNumber":"0"}]}', None),
        (b'{"FailedLines":[{"ItemNumber":"1"},{"Message":"something"}]}', None),
        (b'{"ErrorCode":"IncorrectContent"}', None),
    ],
)
def test_what_a_200_means(body: bytes, fate: Fate | None) -> None:
    (items,) = cut(collapse([devices(1, "add", range(2))]), 10)
    (made,) = TradeDesk().requests(items, {"advertiser_id": "adv1", "ttl_minutes": 43_200})
    found = TradeDesk().outcomes(made, WebAnswer(200, {}, body))
    assert [one.fate for one in found.values()] == ([] if fate is None else [fate])


def test_ids_go_by_their_own_names_and_hashes_are_not_taken() -> None:
    (items,) = cut(collapse([said(1, "remove", ["XY1"], "identity_link")]), 10)
    (made,) = TradeDesk().requests(items, {"advertiser_id": "adv1", "ttl_minutes": 43_200})
    assert msgspec.json.decode(made.body)["Items"] == [
        {"RampID": "XY1", "Data": [{"Name": "spring", "TtlInMinutes": 0}]}
    ]
    assert TradeDesk().refuses("email_sha256", {}) is not None
    assert DECLARATION.limits.bytes_per_request_max == 2_500_000
