"""A list that is asked for by its name: found or made once, before anything is sent, whatever is lost or dies."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from contracts import codec
from contracts.messages.delivery import Delivery
from services.activation.lane import Lane
from services.runtime.failures import Unavailable
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import PLACE, Bench
from tests.unit.activation.list_bench import Control, asking, connection
from tests.unit.connectors.conformance import answered
from tests.unit.domain.delivery.making import clearing, delivery, destination

NAMED = {"segment_name": "spring", "account_id": "1", "retailer_id": "2"}


@dataclass
class Account:
    """An account with segments, three to a page, names unique; the lane beside it, and lanes that come after it."""

    bench: Bench
    control: Control
    segments: list[dict[str, object]] = field(default_factory=list)
    members: dict[str, set[str]] = field(default_factory=dict)
    unshown: int = 0  # the latest segment is not among the next so many answers
    lost: int = 0  # the first so many creations take effect, and their answers are lost
    script: list[WebAnswer] = field(default_factory=list)  # in place of the next creations
    asked: list[str] = field(default_factory=list)

    def take(self, request: WebRequest) -> WebAnswer:
        url = urlsplit(request.url)
        if url.path == "/oauth2/token":
            return answered({"access_token": "t", "expires_in": 900})
        _, _, _, what, *_, call = url.path.split("/")
        self.asked.append(call)
        if what == "accounts":
            return self._search(parse_qs(url.query)) if call == "search" else self._create(request)
        segment = url.path.split("/")[4]
        said = msgspec.json.decode(request.body)["data"]["attributes"] if request.body else {"operation": "clear"}
        there = self.members.setdefault(segment, set())
        if said["operation"] == "clear":
            there.clear()
            return WebAnswer(204, {}, b"")
        change = set(said["identifiers"])
        self.members[segment] = there | change if said["operation"] == "add" else there - change
        return answered({"data": {"operation": said["operation"]}})

    def add(self, name: str, *, identifier_type: str = "Gum", retailer_id: str = "2", read_only: bool = False) -> str:
        list_id = str(100 + len(self.segments))
        contact_list = {"identifierType": identifier_type, "isReadOnly": read_only}
        attributes = {"name": name, "retailerId": retailer_id, "contactList": contact_list}
        self.segments.append({"id": list_id, "attributes": attributes})
        return list_id

    def successor(self) -> Lane:
        """The lane of another worker, which knows what the catalogue says."""
        return Lane(PLACE, self.bench.ports)

    def _search(self, query: dict[str, list[str]]) -> WebAnswer:
        offset = int(query["offset"][0])
        shown = self.segments[:-1] if self.unshown else self.segments
        self.unshown = max(0, self.unshown - 1)
        meta = {"totalItems": len(shown), "offset": offset, "limit": 3}
        return answered({"data": shown[offset : offset + 3], "meta": meta})

    def _create(self, request: WebRequest) -> WebAnswer:
        if self.script:
            return self.script.pop(0)
        ((said),) = [one["attributes"] for one in msgspec.json.decode(request.body)["data"]]
        if any(said["name"] == one["attributes"]["name"] for one in self.segments):  # type: ignore[index]  # ours
            return answered({"data": [], "errors": [{"type": "validation", "code": "name-must-be-unique"}]})
        self.add(said["name"], identifier_type=said["contactList"]["identifierType"], retailer_id=said["retailerId"])
        if self.lost:
            self.lost -= 1
            raise Unavailable("reset")
        return answered({"data": [self.segments[-1]], "errors": [], "warnings": []})


@pytest.fixture
def account() -> Account:
    secrets = {"client_id": "env:USHER_SECRET_X", "client_secret": "env:USHER_SECRET_X"}
    to = msgspec.structs.replace(destination(connector="retail-media", secrets=secrets), settings={})
    bench = Bench(to=to, environment={"USHER_SECRET_X": "x"})
    control = asking(bench, NAMED)
    made = Account(bench, control)
    bench.web.otherwise = made.take
    return made


def said(sequence: int, operation: str, members: list[str]) -> Delivery:
    return msgspec.structs.replace(delivery(sequence, operation, members), id_type="customer_id")


async def test_it_is_made_before_the_first_delivery_and_asked_for_no_more(account: Account) -> None:
    await account.bench.deliver(said(1, "add", ["a", "b"]), said(2, "remove", ["b"]))
    await account.bench.deliver(said(3, "add", ["c"]), first_offset=2)
    assert account.members == {"100": {"a", "c"}}
    assert account.asked[:3] == ["search", "create", "add-remove"]
    assert account.asked.count("search") == account.asked.count("create") == 1
    assert [(one.connection_id, one.version, one.external_audience_id) for one in account.control.said] == [
        ("con_1", 1, "100")
    ]


async def test_one_of_the_name_that_is_there_is_taken_wherever_it_stands(account: Account) -> None:
    names = ["sprin", "spring ", "SPRING", "summer", "spring", "winter", "x"]
    ids = {name: account.add(name, identifier_type="CustomerId") for name in names}
    await account.bench.deliver(said(1, "add", ["a"]))
    assert account.members == {ids["spring"]: {"a"}}
    assert account.asked == ["search", "search", "search", "add-remove"]


async def test_one_that_is_named_by_its_id_is_not_looked_for(account: Account) -> None:
    account.bench.catalogue.connection = connection({**NAMED, "segment_id": "4711"})
    await account.bench.deliver(said(1, "add", ["a"]))
    assert (account.members, account.asked) == ({"4711": {"a"}}, ["add-remove"])


@pytest.mark.parametrize("unshown", [0, 2])
async def test_after_a_creation_of_unknown_outcome_it_is_found_by_its_name(account: Account, unshown: int) -> None:
    """Also where the destination shows it only later, and refuses a second of the name until then."""
    account.lost, account.unshown = 1, 0

    def hide() -> None:
        account.unshown = unshown

    account.bench.clock.events.append((0.0, hide))
    await account.bench.deliver(said(1, "add", ["a"]))
    assert len(account.segments) == 1
    assert account.members == {"100": {"a"}}


async def test_whoever_dies_between_making_it_and_the_word_is_followed_by_one_who_finds_it(account: Account) -> None:
    batch = account.bench.records(said(1, "add", ["a"]))
    account.control.up = False

    def die() -> None:
        raise ProcessLookupError("killed")

    account.bench.clock.events.append((1.0, die))
    with pytest.raises(ProcessLookupError):
        await account.bench.lane.deliver(batch)
    assert (len(account.segments), account.members) == (1, {})
    account.control.up = True
    await account.successor().deliver(batch)
    assert (len(account.segments), account.members) == (1, {"100": {"a"}})
    account.asked.clear()
    await account.successor().deliver(batch)
    assert account.asked == ["add-remove"]


async def test_nothing_is_sent_before_control_has_it(account: Account) -> None:
    account.control.up = False
    account.bench.clock.events.append((600.0, account.control.take))
    await account.bench.deliver(said(1, "add", ["a"]))
    adding = [at for at, request in account.bench.web.sent if request.url.endswith("add-remove")]
    assert adding == [pytest.approx(600.0, abs=1.0)]


async def test_a_list_of_a_connection_that_is_another_by_now_is_not_sent_to(account: Account) -> None:
    account.control.up = False

    def renamed() -> None:
        other = connection({**NAMED, "segment_name": "summer"})
        account.bench.catalogue.connection = msgspec.structs.replace(other, version=2)
        account.control.up = True

    account.bench.clock.events.append((60.0, renamed))
    await account.bench.deliver(said(1, "add", ["a"]))
    assert account.members == {"101": {"a"}}
    assert [one.version for one in account.control.said] == [1, 2]


async def test_a_list_that_is_emptied_first_is_made_before_that(account: Account) -> None:
    account.bench.catalogue.connection = connection({**NAMED, "resync": "replace"})

    def cleared() -> None:
        found = account.bench.catalogue.connection
        assert found is not None
        account.bench.catalogue.connection = msgspec.structs.replace(found, cleared_step=9)

    account.bench.clock.events.append((5.0, cleared))
    await account.bench.deliver(clearing(1, 9), said(2, "add", ["a"]))
    assert account.asked == ["search", "create", "clear", "add-remove"]
    assert account.members == {"100": {"a"}}


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (answered({"data": [], "errors": [{"type": "validation", "code": "no"}]}), ("parked", "delivery-list-refused")),
        (WebAnswer(400, {}, b"{}"), ("parked", "delivery-list-refused")),
        (WebAnswer(410, {}, b"{}"), ("parked", "delivery-settings-invalid")),
        (WebAnswer(404, {}, b"{}"), ("parked", "delivery-settings-invalid")),
        (WebAnswer(503, {}, b"{}"), ("retrying", "delivery-unavailable")),
        (answered({"data": [{"id": "../users"}]}), ("retrying", "delivery-unavailable")),
        (answered([]), ("retrying", "delivery-unavailable")),
    ],
)
async def test_who_must_act_is_told_and_members_wait(
    account: Account, answer: WebAnswer, state: tuple[str, str]
) -> None:
    account.script = [answer]
    await account.bench.deliver(said(1, "add", ["a"]))
    states = [
        (one["state"], one["code"])
        for one in (msgspec.json.decode(out.value or b"") for out in account.control.outs)
        if one["type"] == "lane-state"
    ]
    assert states[0] == state
    assert account.members == {"100": {"a"}}
    assert not [out for out in account.control.outs if codec.header(out.headers, "dlq-code")]


@pytest.mark.parametrize(
    "there",
    [
        [{"identifier_type": "Email"}],
        [{"retailer_id": "3", "identifier_type": "CustomerId"}],
        [{"read_only": True, "identifier_type": "CustomerId"}],
        [{"identifier_type": "CustomerId"}, {"identifier_type": "CustomerId"}],
    ],
)
async def test_one_of_the_name_that_cannot_be_used_waits_for_somebody_to_name_another(
    account: Account, there: list[dict[str, object]]
) -> None:
    for one in there:
        account.add("spring", **one)  # type: ignore[arg-type]  # as it is called

    def mend() -> None:
        account.bench.catalogue.connection = connection({**NAMED, "segment_id": "7"})

    account.bench.clock.events.append((1000.0, mend))
    await account.bench.deliver(said(1, "add", ["a"]))
    assert account.members == {"7": {"a"}}
    assert "create" not in account.asked
    assert account.bench.clock.seconds == pytest.approx(1000, abs=6), "it is heeded at once"


async def test_a_destination_that_makes_none_of_the_type_is_not_asked_to(account: Account) -> None:
    assert account.bench.catalogue.audience is not None
    account.bench.catalogue.audience = msgspec.structs.replace(account.bench.catalogue.audience, id_type="gum")

    def mend() -> None:
        account.add("spring")

    account.bench.clock.events.append((1000.0, mend))
    await account.bench.deliver(said(1, "add", ["a"]))
    assert account.members == {"100": {"a"}}
    assert "create" not in account.asked
