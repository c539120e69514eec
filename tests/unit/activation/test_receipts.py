"""Receipts: asked about at their time, until the destination says what became of its members, or never will."""

from collections.abc import Sequence

import msgspec
import pytest

from contracts import catalog, codec
from contracts.instants import instant_text
from contracts.messages.delivery import Receipt, Reported
from contracts.records import Record, TopicPartition
from services.activation.receipts import Receipts
from tests.unit.activation.lane_bench import Answer, Bench, answer
from tests.unit.connectors.conformance import answered
from tests.unit.domain.delivery.making import destination

PLACE = TopicPartition(catalog.RECEIPTS, 1)
HALF_AN_HOUR = 1800.0
TOKEN = answered({"access_token": "t", "expires_in": 360_000})
DENIED = {"recordCount": "2", "reason": "PROCESSING_ERROR_REASON_DENIED_CONSENT"}


def status(word: str, *errors: object) -> Answer:
    return answered({"requestStatusPerDestination": [{"requestStatus": word, "errorInfo": {"errorCounts": errors}}]})


class Asking:
    """The receipts of one partition, of a destination at Google."""

    def __init__(self, *script: Answer, connector: str = "google-data-manager") -> None:
        secrets = dict.fromkeys(("client_id", "client_secret", "refresh_token"), "env:USHER_SECRET_X")
        to = destination(connector=connector, secrets=secrets)
        to = msgspec.structs.replace(to, settings={"operating_account_id": "1"})
        self.bench = Bench([TOKEN, *script], to=to, environment={"USHER_SECRET_X": "x"})
        self.receipts = Receipts(self.bench.ports)
        self.offset = 0

    async def follow(self) -> Reported | Receipt:
        """Hands over the latest receipt, the first one if there is none; what follows from it."""
        before = self.bench.receipts()
        said = before[-1] if before else self.first()
        await self.receipts.assigned(PLACE)
        await self.receipts.handle(PLACE, [self.record(codec.encode(said))])
        await self.receipts.revoked(PLACE)
        out = self.bench.producer.outs[-1]
        if out.topic == catalog.RECEIPTS:
            assert out.partition == PLACE.partition
            return self.bench.receipts()[-1]
        return codec.decode(out.value or b"", Reported)

    def first(self) -> Receipt:
        now_ms = self.bench.clock.now_ms()
        return Receipt(
            space_id="acme", activation_id="act_1", connection_id="con_1", destination_id="des_1", receipt="req/1&x=y",
            members=9, taken_at=instant_text(now_ms), ask_at=instant_text(now_ms + 1_800_000),
        )  # fmt: skip

    def record(self, value: bytes) -> Record:
        self.offset += 1
        return Record(
            topic=PLACE.topic, partition=PLACE.partition, offset=self.offset, timestamp_ms=self.bench.clock.now_ms(),
            key=None, value=value, headers=(),
        )  # fmt: skip

    def asked(self) -> Sequence[tuple[float, str]]:
        return [(at, request.url) for at, request in self.bench.web.sent if request.method == "GET"]


async def test_it_is_asked_half_an_hour_later_and_as_often_again_until_google_is_done() -> None:
    asking = Asking(status("PROCESSING"), answer(503), answer(429), status("PARTIAL_SUCCESS", DENIED))
    for n in (2, 3, 4):
        later = await asking.follow()
        assert isinstance(later, Receipt)
        assert later.ask_at == instant_text(asking.bench.clock.now_ms() + 1_800_000)
        assert asking.bench.clock.seconds == pytest.approx((n - 1) * HALF_AN_HOUR, abs=10)
    said = await asking.follow()
    assert isinstance(said, Reported)
    assert (said.members, said.failed, said.code) == (9, 2, "delivery-failed-later")
    assert (said.partition, said.through_offset) == (1, 5)
    assert said.detail == "Google reports DENIED_CONSENT 2"
    assert {url for _, url in asking.asked()} == {
        "https://datamanager.googleapis.com/v1/requestStatus:retrieve?requestId=req%2F1%26x%3Dy"
    }


@pytest.mark.parametrize(
    ("final", "failed"),
    [
        (status("SUCCESS"), 0),
        (status("FAILED"), 9),
        (status("PARTIAL_SUCCESS", {"recordCount": 99, "reason": "X"}), 9),
        (answer(400), 0),
        (answer(404), 0),
        (answer(302), 0),
    ],
)
async def test_what_is_final_is_reported_once(final: Answer, failed: int) -> None:
    said = await Asking(final).follow()
    assert isinstance(said, Reported)
    assert (said.failed, said.code) == (failed, "delivery-failed-later" if failed else None)


async def test_refused_credentials_are_fetched_anew_for_the_next_question() -> None:
    asking = Asking(answer(401), TOKEN, status("SUCCESS"))
    assert isinstance(await asking.follow(), Receipt)
    assert isinstance(await asking.follow(), Reported)
    assert not asking.bench.web.script


async def test_what_is_never_answered_is_given_up_after_its_time() -> None:
    asking = Asking()
    asking.bench.web.otherwise = status("PROCESSING")
    for _ in range(200):
        said = await asking.follow()
        if isinstance(said, Reported):
            break
    assert (said.members, said.failed) == (9, 0)  # type: ignore[union-attr]  # asserts that it is a report
    assert 48 * 3600 <= asking.bench.clock.seconds <= 49 * 3600


async def test_a_destination_that_went_or_has_another_connector_is_not_asked() -> None:
    gone, other = Asking(), Asking(connector="webhook")
    gone.bench.catalogue.present = None
    for asking in (gone, other):
        said = await asking.follow()
        assert isinstance(said, Reported)
        assert (said.members, said.failed, asking.asked()) == (9, 0, [])


async def test_what_is_no_receipt_goes_to_dead_letters_and_holds_nothing_up() -> None:
    asking = Asking(status("SUCCESS"))
    await asking.receipts.assigned(PLACE)
    good = asking.record(codec.encode(asking.first()))
    await asking.receipts.handle(PLACE, [asking.record(b"{"), good])
    assert asking.bench.letter_codes() == ["delivery-unreadable"]
    assert asking.bench.producer.outs[-1].topic == catalog.OUTCOMES
