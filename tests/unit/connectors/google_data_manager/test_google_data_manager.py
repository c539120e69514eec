"""Google's Data Manager: its own protobuf models, and a platform that holds to the published rules."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from google.ads import datamanager_v1
from google.protobuf import json_format

from contracts.messages.delivery import Delivery
from contracts.messages.entities import Connection
from services.connectors.base import Report
from services.connectors.google_data_manager.audience_members import KINDS
from services.connectors.google_data_manager.definition import DECLARATION, GoogleAudiences
from services.domain.delivery.answers import Fate
from services.domain.delivery.merge import collapse, cut
from services.runtime.failures import Unavailable
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import Bench
from tests.unit.connectors.conformance import CASES, answered, hashed
from tests.unit.domain.delivery.making import delivery, destination

SETTINGS = {"operating_account_id": "1234567890", "login_account_id": "111", "ad_user_data": "granted",
            "quota_project": "usher-tests"}  # fmt: skip
ENVIRONMENT = {"USHER_SECRET_ID": "app", "USHER_SECRET_APP": "s3cret", "USHER_SECRET_REFRESH": "consented"}
SECRETS = {"client_id": "env:USHER_SECRET_ID", "client_secret": "env:USHER_SECRET_APP",
           "refresh_token": "env:USHER_SECRET_REFRESH"}  # fmt: skip


def emails(sequence: int, operation: str, members: list[str]) -> Delivery:
    return msgspec.structs.replace(delivery(sequence, operation, members), id_type="email_sha256")


def people(sequence: int, operation: str, numbers: range) -> Delivery:
    return emails(sequence, operation, [hashed(n) for n in numbers])


def read(request: WebRequest) -> Any:
    """As Google's own models read it: an unknown name, a wrong type or an unknown word of an enumeration raises."""
    ingests = request.url.endswith("/v1/audienceMembers:ingest")
    form = datamanager_v1.IngestAudienceMembersRequest if ingests else datamanager_v1.RemoveAudienceMembersRequest
    found = json_format.Parse(request.body, form.pb(form()))
    return form.wrap(found)


@dataclass
class Platform:
    """The service: tokens that expire, one audience of one account, 10,000 members a request, all or none of them."""

    bench: Bench
    secret: str = "s3cret"
    audience_id: str = "238"
    members: set[str] = field(default_factory=set)
    token: str = ""
    granted: int = 0
    taken: int = 0
    script: list[WebAnswer] = field(default_factory=list)
    lost: int = 0  # the first so many changes take effect, and their answers are lost

    def take(self, request: WebRequest) -> WebAnswer:
        if request.url == "https://oauth2.googleapis.com/token":
            return self._grant(request)
        if request.headers["authorization"] != f"Bearer {self.token}" or not self.token:
            return problem(401, "UNAUTHENTICATED")
        assert request.headers["x-goog-user-project"] == "usher-tests"
        assert urlsplit(request.url).netloc == "datamanager.googleapis.com"
        return self.script.pop(0) if self.script else self._change(request)

    def _grant(self, request: WebRequest) -> WebAnswer:
        form = {name: one for name, (one,) in parse_qs(request.body.decode(), strict_parsing=True).items()}
        if form != {"grant_type": "refresh_token", "client_id": "app", "client_secret": self.secret,
                    "refresh_token": "consented"}:  # fmt: skip
            return WebAnswer(400, {}, b'{"error":"invalid_grant"}')
        self.granted += 1
        self.token = f"ya29.{self.granted}"
        return answered({"access_token": self.token, "expires_in": 3599, "scope": "x", "token_type": "Bearer"})

    def _change(self, request: WebRequest) -> WebAnswer:
        said = read(request)
        (to,) = said.destinations
        assert (to.operating_account.account_id, to.login_account.account_id) == ("1234567890", "111")
        if to.product_destination_id != self.audience_id:
            return problem(400, "INVALID_ARGUMENT", {"destinations[0]": "INVALID_USER_LIST_ID"})
        if not 1 <= len(said.audience_members) <= 10_000:
            return problem(400, "INVALID_ARGUMENT", {"audience_members": "TOO_MANY_AUDIENCE_MEMBERS"})
        assert said.encoding.name == "HEX"
        found = [one.email_address for member in said.audience_members for one in member.user_data.user_identifiers]
        assert len(found) == len(said.audience_members), "each member has one identifier"
        wrong = {f"audience_members.audience_members[{n}].user_data.user_identifiers": "INVALID_HEX_ENCODING"
                 for n, one in enumerate(found) if len(one) != 64}  # fmt: skip
        if wrong:
            return problem(400, "INVALID_ARGUMENT", wrong)
        if request.url.endswith(":ingest"):
            assert said.consent.ad_user_data.name == "CONSENT_GRANTED"
            self.members |= set(found)
        else:
            self.members -= set(found)
        self.taken += 1
        if self.lost:
            self.lost -= 1
            raise Unavailable("reset")
        return answered({"requestId": f"req-{self.taken}"})


def problem(status: int, word: str, violations: dict[str, str] | None = None) -> WebAnswer:
    """An error as Google writes it: a status, with what is wrong where."""
    listed = [{"field": where, "reason": reason} for where, reason in (violations or {}).items()]
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word, "domain": "datamanager.googleapis.com"},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": listed},
    ]
    error = {"code": status, "message": "There was a problem.", "status": word, "details": details}
    return WebAnswer(status, {}, msgspec.json.encode({"error": error}))


def platform(audience_id: str = "238") -> Platform:
    to = destination(connector="google-data-manager", secrets=SECRETS)
    made = Platform(Bench(to=msgspec.structs.replace(to, settings=SETTINGS), environment=ENVIRONMENT))
    made.bench.web.otherwise = made.take
    made.bench.catalogue.connection = Connection(
        space_id="acme", name="con_1", created_at="", updated_at="", connection_id="con_1", audience_id="aud_1",
        destination_id="des_1", connection_settings={"audience_id": audience_id},
    )  # fmt: skip
    return made


async def test_the_list_is_the_audience_through_throttling_lost_answers_and_limits() -> None:
    google = platform()
    google.script = [problem(429, "RESOURCE_EXHAUSTED"), problem(503, "UNAVAILABLE"), problem(409, "ABORTED")]
    google.lost = 2
    await google.bench.deliver(people(1, "add", range(12_000)), people(2, "remove", range(5)))
    await google.bench.deliver(people(3, "add", range(3)), people(4, "remove", range(100, 200)), first_offset=2)
    assert google.members == {hashed(n) for n in range(12_000) if n < 3 or 5 <= n < 100 or n >= 200}
    assert google.bench.counts()["dead"] == 0
    assert google.granted == 1


@pytest.mark.parametrize(("members", "requests"), [(10_000, 1), (10_001, 2)])
@pytest.mark.parametrize("operation", ["add", "remove"])
async def test_a_lane_sends_as_many_members_a_request_as_google_takes(
    operation: str, members: int, requests: int
) -> None:
    """Out of the records of a thousand members that the engine writes."""
    google = platform()
    google.members = {hashed(n) for n in range(members)} if operation == "remove" else set()
    starts = range(0, members, 1_000)
    records = [people(n, operation, range(at, min(at + 1_000, members))) for n, at in enumerate(starts, 1)]
    await google.bench.deliver(*records)
    assert google.members == ({hashed(n) for n in range(members)} if operation == "add" else set())
    assert google.taken == requests
    assert google.bench.counts()["delivered"] == members


async def test_members_that_are_why_a_request_is_refused_are_refused_alone() -> None:
    google = platform()
    mixed = [hashed(1), "no hash", hashed(2), "nor this"]
    await google.bench.deliver(emails(1, "add", mixed), people(2, "add", range(3, 5)))
    assert google.members == {hashed(n) for n in range(1, 5)}
    assert google.bench.counts() == {"delivered": 4, "merged": 0, "dead": 2, "uploads": 1}
    assert google.bench.letter_codes() == ["delivery-permanent"]
    await google.bench.deliver(emails(3, "add", ["none of it"]), first_offset=2)
    assert google.bench.letter_codes() == ["delivery-permanent"] * 2


async def test_what_was_taken_is_to_be_asked_about_and_counts_as_processing_until_then() -> None:
    google = platform()
    await google.bench.deliver(people(1, "add", range(3)), people(2, "remove", range(1)))
    assert [(one.receipt, one.members) for one in google.bench.receipts()] == [("req-1", 2), ("req-2", 1)]
    assert [one.processing for one in google.bench.outcomes()] == [2, 1]
    (first, _) = google.bench.receipts()
    assert (first.activation_id, first.taken_at < first.ask_at) == ("act_1", True)


@pytest.mark.parametrize(
    ("secret", "audience_id", "state"),
    [
        ("another", "238", ("parked", "delivery-authentication")),
        ("s3cret", "239", ("parked", "delivery-settings-invalid")),
    ],
)
async def test_what_somebody_must_mend_is_waited_for(secret: str, audience_id: str, state: tuple[str, str]) -> None:
    google = platform(audience_id)
    google.secret = secret

    def mend() -> None:
        google.secret, google.audience_id = "s3cret", audience_id

    google.bench.clock.events.append((1000.0, mend))
    await google.bench.deliver(people(1, "add", range(3)))
    assert google.bench.states()[0] == state
    assert google.members == {hashed(n) for n in range(3)}


@pytest.mark.parametrize("operation", ["add", "remove"])
@pytest.mark.parametrize("id_type", KINDS)
def test_googles_own_models_read_what_is_sent(operation: str, id_type: str) -> None:
    (case, *_) = [one for one in CASES if one.slug == "google-data-manager"]
    said = msgspec.structs.replace(delivery(1, operation, ["x", "y"]), id_type=id_type)
    ((items,),) = [list(cut(collapse([said]), 10))]
    (made,) = GoogleAudiences().requests(items, case.filled)
    found = read(GoogleAudiences().attempt(made, case.target))
    (to,) = found.destinations
    assert (to.product_destination_id, to.operating_account.account_type.name) == ("238", "GOOGLE_ADS")
    assert "login_account" not in to
    sent = [str(datamanager_v1.AudienceMember.to_json(one, indent=None)) for one in found.audience_members]
    assert Counter(("x" in one, "y" in one) for one in sent) == {(True, False): 1, (False, True): 1}
    assert (found.encoding.name == "HEX") is (KINDS[id_type] == "userData")
    if operation == "add":
        assert found.consent.ad_user_data.name == "CONSENT_GRANTED"
        assert found.consent.ad_personalization.name == "CONSENT_STATUS_UNSPECIFIED"
        assert found.terms_of_service.customer_match_terms_of_service_status.name == "ACCEPTED"


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        (answered({"requestId": "r"}), Fate.DELIVERED),
        (answered({}), None),
        (answered({"requestId": ""}), None),
        (answered({"requestId": "r", "error": {"status": "INTERNAL"}}), None),
        (problem(400, "INVALID_ARGUMENT"), Fate.REFUSED),
        (problem(400, "INVALID_ARGUMENT", {"audience_members[0]": "INVALID_USER_LIST_TYPE"}), Fate.BLOCKED),
        (problem(400, "INVALID_ARGUMENT", {"audience_members[7]": "INVALID_FORMAT"}), Fate.REFUSED),
        (problem(400, "INVALID_ARGUMENT", {"": "TERMS_AND_CONDITIONS_NOT_SIGNED"}), Fate.BLOCKED),
        (problem(403, "PERMISSION_DENIED"), Fate.UNAUTHORIZED),
        (problem(404, "NOT_FOUND"), Fate.BLOCKED),
    ],
)
def test_what_an_answer_means(answer: WebAnswer, fate: Fate | None) -> None:
    (items,) = cut(collapse([people(1, "add", range(2))]), 10)
    (case, *_) = [one for one in CASES if one.slug == "google-data-manager"]
    (made,) = GoogleAudiences().requests(items, case.filled)
    verdicts = GoogleAudiences().outcomes(made, answer)
    assert [one.fate for one in verdicts.values()] == ([] if fate is None else [fate])


def status(word: str, errors: dict[str, int] | None = None, matched: str = "MATCH_RATE_RANGE_UNKNOWN") -> WebAnswer:
    """A status as Google's own models write it, so that names and numbers are as on the wire."""
    counts = [{"reason": reason, "record_count": count} for reason, count in (errors or {}).items()]
    one = {
        "request_status": word,
        "error_info": {"error_counts": counts},
        "audience_members_ingestion_status": {
            "user_data_ingestion_status": {"record_count": 9, "upload_match_rate_range": matched}
        },
    }
    form = datamanager_v1.RetrieveRequestStatusResponse
    text = form.to_json(form(request_status_per_destination=[one]), use_integers_for_enums=False)
    return WebAnswer(200, {}, text.encode())


@pytest.mark.parametrize(
    ("answer", "report"),
    [
        (status("PROCESSING"), None),
        (status("REQUEST_STATUS_UNKNOWN"), None),
        (status("SUCCESS"), Report(failed=0)),
        (status("SUCCESS", matched="MATCH_RATE_RANGE_31_TO_40"), Report(failed=0, matched="31-40")),
        (status("SUCCESS", matched="MATCH_RATE_RANGE_91_TO_100"), Report(failed=0, matched="91-100")),
        (status("SUCCESS", matched="MATCH_RATE_RANGE_LESS_THAN_20"), Report(failed=0, matched="0-20")),
        (status("SUCCESS", matched="MATCH_RATE_RANGE_NOT_ELIGIBLE"), Report(failed=0)),
        (
            status("PARTIAL_SUCCESS", {"PROCESSING_ERROR_REASON_DENIED_CONSENT": 2,
                                       "PROCESSING_ERROR_REASON_INVALID_FORMAT": 1}),
            Report(failed=3, detail="Google reports DENIED_CONSENT 2, INVALID_FORMAT 1"),
        ),
        (status("FAILED"), Report(failed=None, detail="Google reports no reason")),
        (answered({"requestStatusPerDestination": []}), None),
        (answered({"requestStatusPerDestination": 7}), None),
        (WebAnswer(200, {}, b""), None),
    ],
)  # fmt: skip
def test_what_a_status_means(answer: WebAnswer, report: Report | None) -> None:
    assert GoogleAudiences().report(answer) == report


def test_phone_numbers_are_not_taken_and_limits_are_googles() -> None:
    assert GoogleAudiences().refuses("phone_sha256", {}) is not None
    assert DECLARATION.limits.items_per_request_max == 10_000
    assert DECLARATION.limits.requests_per_second == 300 / 60
