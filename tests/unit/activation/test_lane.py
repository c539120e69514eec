"""One lane, apart from what destinations answer: merging, limits, the catalogue, secrets, its accounts, its silence."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import standardwebhooks
import structlog

from contracts import codes
from contracts.messages.delivery import Delivery
from contracts.messages.entities import Connection
from contracts.records import Record
from services.activation import exchanges
from services.activation.lane import Lane
from services.connectors.base import Request, Target
from services.connectors.declaration import Identifier, SettingField
from services.connectors.webhook.definition import Webhook
from services.connectors.webhook.requests import WebhookMessage
from services.domain.delivery.answers import DELIVERED, Fate, Verdict
from services.domain.delivery.merge import Item
from services.runtime.failures import Unavailable
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import PLACE, Bench, Receiver, answer
from tests.unit.domain.delivery.making import delivery, destination, queued

ADD = delivery(1, "add", ["a", "b"])


def sent_members(bench: Bench) -> list[list[tuple[str, list[str]]]]:
    return [
        [(entry.change, entry.members) for entry in msgspec.json.decode(request.body, type=WebhookMessage).deliveries]
        for _, request in bench.web.sent
    ]


async def test_an_identity_added_and_removed_is_sent_once_as_it_stands() -> None:
    bench = Bench()
    await bench.deliver(ADD, delivery(2, "remove", ["a"]))
    assert sent_members(bench) == [[("entered", ["b"]), ("exited", ["a"])]]
    assert bench.counts() == {"delivered": 2, "merged": 1, "dead": 0, "uploads": 1}


async def test_a_batch_that_is_all_merged_or_empty_is_accounted_for_and_not_sent() -> None:
    bench = Bench()
    await bench.deliver(delivery(1, "add", []))
    assert bench.web.sent == []
    assert [(one.through_offset, one.delivered) for one in bench.outcomes()] == [(1, 0)]


async def test_requests_keep_to_the_limits_of_the_destination() -> None:
    bench = Bench(to=destination(limits={"items_per_request": 2, "requests_per_second": 4}))
    await bench.deliver(delivery(1, "add", list("abcde")))
    assert sent_members(bench) == [[("entered", ["a", "b"])], [("entered", ["c", "d"])], [("entered", ["e"])]]
    assert [at for at, _ in bench.web.sent] == [0.0, 0.25, 0.5]
    assert bench.counts() == {"delivered": 5, "merged": 0, "dead": 0, "uploads": 3}


async def test_a_worker_with_some_of_the_lanes_of_a_destination_takes_their_share_of_its_rate() -> None:
    bench = Bench(to=destination(limits={"items_per_request": 1, "requests_per_second": 4}), queue_partitions=2)
    await bench.deliver(ADD)
    assert [at for at, _ in bench.web.sent] == [0.0, 0.5]


async def test_outcomes_stand_for_each_record_so_that_other_batches_count_the_same() -> None:
    bench = Bench()
    await bench.deliver(ADD, delivery(2, "add", ["c"]), delivery(3, "add", ["d"], activation_id="act_2"))
    assert [(one.activation_id, one.partition, one.through_offset, one.delivered) for one in bench.outcomes()] == [
        ("act_1", 0, 1, 2),
        ("act_1", 0, 2, 1),
        ("act_2", 0, 3, 1),
    ]


async def test_outcomes_that_cannot_be_written_are_written_later_and_nothing_is_sent_again() -> None:
    bench = Bench()
    bench.producer.failing = 5
    await bench.deliver(ADD)
    assert len(bench.web.sent) == 1
    assert bench.counts()["delivered"] == 2


async def test_only_the_items_of_an_answer_that_failed_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 59; and an item that the answer does not speak of has failed."""

    class Particular(Webhook):
        """Delivers what exits, refuses act_2, forgets to speak of the rest, once."""

        asked = 0

        def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
            self.asked += 1
            if self.asked > 1:
                return dict.fromkeys((item.id for item in request.items), DELIVERED)
            return {item.id: verdict for item in request.items if (verdict := self.verdict(item))}

        def verdict(self, item: Item) -> Verdict | None:
            if item.delivery.activation_id == "act_2":
                return Verdict(Fate.REFUSED, codes.DELIVERY_PERMANENT, "no such list")
            return DELIVERED if item.delivery.operation == "remove" else None

    monkeypatch.setattr(exchanges, "CONNECTORS", {"webhook": Particular()})
    bench = Bench()
    await bench.deliver(ADD, delivery(2, "remove", ["c"]), delivery(3, "add", ["d"], activation_id="act_2"))
    assert sent_members(bench) == [
        [("entered", ["a", "b"]), ("exited", ["c"]), ("entered", ["d"])],
        [("entered", ["a", "b"])],
    ]
    assert bench.letter_codes() == ["delivery-permanent"]
    assert bench.counts() == {"delivered": 3, "merged": 0, "dead": 1, "uploads": 2}


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff\xfe", b'{"delivery_id":1}', b"[" * 100_000])
async def test_an_unreadable_record_goes_to_dead_letters_and_its_neighbours_go_on(value: bytes | None) -> None:
    bench = Bench()
    good = bench.records(ADD)
    bad = Record(
        topic=PLACE.topic, partition=0, offset=7, timestamp_ms=0, key=b"k", value=value, headers=(("h", b"1"),)
    )
    await bench.lane.deliver([bad, *good])
    assert bench.counts()["delivered"] == 2
    (letter,) = bench.letters()
    assert (letter.key, letter.value, letter.headers[0]) == (b"k", value, ("h", b"1"))
    assert bench.letter_codes() == ["delivery-unreadable"]


async def test_a_destination_that_the_view_does_not_know_yet_is_waited_for() -> None:
    bench = Bench()
    bench.catalogue.arriving, bench.catalogue.present = bench.catalogue.present, None
    await bench.deliver(ADD)
    assert bench.catalogue.asked == 1
    assert bench.counts()["delivered"] == 2


async def test_a_view_that_cannot_catch_up_leaves_the_batch_for_later() -> None:
    bench = Bench()
    bench.catalogue.present = None

    async def no_broker() -> None:
        raise Unavailable("no broker")

    bench.catalogue.caught_up = no_broker  # type: ignore[method-assign]  # this view alone fails
    with pytest.raises(Unavailable):
        await bench.deliver(ADD)
    assert bench.producer.outs == []


async def test_deliveries_for_a_destination_that_is_nowhere_go_to_dead_letters() -> None:
    bench = Bench()
    bench.catalogue.present = None
    await bench.deliver(ADD)
    assert bench.letter_codes() == ["delivery-destination-unknown"]
    assert bench.counts() == {"delivered": 0, "merged": 0, "dead": 2, "uploads": 0}
    assert bench.web.sent == []


async def test_a_destination_deleted_during_an_outage_ends_the_waiting() -> None:
    bench = Bench()
    bench.web.otherwise = Unavailable("the connection was refused")
    bench.clock.events.append((100.0, lambda: setattr(bench.catalogue, "present", None)))
    await bench.deliver(ADD)
    assert bench.letter_codes() == ["delivery-destination-unknown"]
    assert bench.clock.seconds < 120.0


async def test_a_disabled_destination_is_waited_for_without_a_request() -> None:
    bench = Bench(to=destination(enabled=False))
    bench.clock.events.append((1000.0, lambda: setattr(bench.catalogue, "present", destination(version=2))))
    await bench.deliver(ADD)
    ((at, _),) = bench.web.sent
    assert 1000.0 <= at <= 1005.0
    assert bench.states() == [("disabled", "delivery-destination-disabled"), ("delivering", None)]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (destination(connector="carrier-pigeon"), "connector-unknown"),
        (destination(url="ftp://example.com/"), "delivery-settings-invalid"),
        (destination(limits={"items_per_request": 0}), "delivery-settings-invalid"),
        (destination(secrets={"a": "env:USHER_SECRET_NOWHERE"}), "delivery-secret-unavailable"),
        (destination(secrets={"a": "env:USHER_SECRET_NOT_A_KEY"}), "delivery-secret-unavailable"),
        (destination(secrets={"a": "env:HOME"}), "secret-refused"),
        (destination(secrets={"a": "file:/etc/passwd"}), "secret-refused"),
        (destination(secrets={"a": "file:/etc/usher/secrets/acme/nowhere"}), "delivery-secret-unavailable"),
    ],
)
async def test_what_cannot_be_sent_as_it_is_set_parks_the_lane_until_it_is_put_right(wrong: object, code: str) -> None:
    bench = Bench(environment={"USHER_SECRET_NOT_A_KEY": "hunter2-canary"})
    bench.catalogue.present = wrong if isinstance(wrong, type(bench.catalogue.present)) else None
    bench.clock.events.append((1000.0, lambda: setattr(bench.catalogue, "present", destination(version=2))))
    await bench.deliver(ADD)
    assert bench.states() == [("parked", code), ("delivering", None)]
    assert len(bench.web.sent) == 1
    assert bench.clock.seconds <= 1005.0


async def test_only_the_old_records_of_a_waiting_request_are_given_up() -> None:
    bench, receiver = Bench(record_age_seconds_max=6 * 3600.0), Receiver()

    def up_after_seven_hours(request: WebRequest) -> WebAnswer:
        if bench.clock.seconds < 7 * 3600.0:
            raise Unavailable("refused")
        return receiver.take(request)

    bench.web.otherwise = up_after_seven_hours
    old, new = bench.records(ADD, delivery(2, "add", ["c"]))
    await bench.lane.deliver([old, msgspec.structs.replace(new, timestamp_ms=old.timestamp_ms + 2 * 3_600_000)])
    assert [out.value for out in bench.letters()] == [old.value]
    assert receiver.members() == {"c"}
    assert bench.counts() == {"delivered": 1, "merged": 0, "dead": 2, "uploads": 1}


async def test_a_changed_destination_is_tried_at_once_with_its_new_address_and_the_same_bytes() -> None:
    bench = Bench([Unavailable("refused")] * 20)
    bench.clock.events.append(
        (500.0, lambda: setattr(bench.catalogue, "present", destination(version=2, url="https://new.example.com/")))
    )
    bench.clock.events.append((500.0, bench.web.script.clear))
    await bench.deliver(ADD)
    at, last = bench.web.sent[-1]
    assert 500.0 <= at <= 505.0
    assert last.url == "https://new.example.com/"
    assert last.body == bench.web.sent[0][1].body


OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()


async def test_a_secret_that_was_changed_in_its_file_signs_the_second_try_after_a_401(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(OLD + "\n")
    bench = Bench(to=destination(secrets={"signing": f"file:{file}"}), secrets_folder=tmp_path)

    def verify(secret: str) -> None:
        _, request = bench.web.sent[-1]
        signed = standardwebhooks.Webhook(secret).sign(
            request.headers["webhook-id"],
            datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), tz=UTC),
            request.body.decode(),
        )
        assert signed in request.headers["webhook-signature"].split()

    await bench.deliver(ADD)
    verify(OLD)
    file.write_text(NEW)
    bench.web.script = [answer(401)]
    await bench.deliver(delivery(2, "add", ["c"]))
    verify(NEW)
    assert bench.states() == [("delivering", None)]


async def test_a_crash_before_the_commit_sends_the_same_ids_and_bytes_again() -> None:
    """Fault 61: at most one duplicate, with the same id."""
    batch = [ADD, delivery(2, "remove", ["a"]), delivery(3, "add", ["c", "d"])]
    bench = Bench(to=destination(limits={"items_per_request": 2}))
    await bench.deliver(*batch)
    sent = [(request.headers["webhook-id"], request.body) for _, request in bench.web.sent]
    bench.lane = Lane(PLACE, bench.ports)
    await bench.deliver(*batch)
    assert [(request.headers["webhook-id"], request.body) for _, request in bench.web.sent] == sent * 2


async def test_an_exit_is_never_overtaken_by_an_older_enter_that_is_retried() -> None:
    """Fault 62."""
    bench, receiver = Bench([answer(503)] * 3), Receiver()
    bench.web.otherwise = receiver.take
    await bench.deliver(delivery(1, "add", ["a"]))
    await bench.deliver(delivery(2, "remove", ["a"]))
    assert [entry.change for entry in receiver.contents.values()] == ["entered", "exited"]
    assert receiver.members() == set()


async def test_no_identifier_and_no_secret_leaves_by_logs_outcomes_or_headers() -> None:
    """Fault 69: canaries in members, in a secret, and in what the destination answers."""
    canaries = ["canary-member", "canary-answer", OLD, OLD.removeprefix("whsec_")]
    said = [delivery(1, "add", ["canary-member"]), delivery(2, "add", ["canary-member2"])]
    script = [answer(500, b"canary-answer"), answer(401, b"canary-answer"), answer(401), answer(400, b"canary-answer")]
    bench = Bench(
        script,
        to=destination(secrets={"a": "env:USHER_SECRET_A"}, limits={"items_per_request": 1}),
        environment={"USHER_SECRET_A": OLD},
    )
    with structlog.testing.capture_logs() as logs:
        await bench.deliver(*said)
        await bench.lane.deliver(
            [queued(9, ADD), msgspec.structs.replace(queued(10, ADD), value=b'{"members":["canary-member"]}')]
        )
    assert {line["event"] for line in logs} == {"lane-turned", "deliveries-dead-lettered"}
    shown = [str(logs), str(bench.outcomes()), str(bench.states()), *(str(out.headers) for out in bench.letters())]
    shown += [str(request.headers) for _, request in bench.web.sent]
    assert not [(canary, text) for canary in canaries for text in shown if canary in text]


async def test_the_receiver_has_the_membership_and_the_counters_add_up_through_every_kind_of_answer() -> None:
    bench, receiver = Bench(to=destination(limits={"items_per_request": 3})), Receiver()
    bad: list[WebAnswer | Unavailable] = [answer(500), answer(429, retry_after="7"), answer(401), answer(503)]
    bad += [Unavailable("reset"), answer(408)]
    calls = 0

    def hostile(request: WebRequest) -> WebAnswer:
        nonlocal calls
        calls += 1
        trouble = bad[calls % 7] if calls % 7 < len(bad) else receiver.take(request)
        if isinstance(trouble, Unavailable):
            raise trouble
        return trouble

    bench.web.otherwise = hostile
    truth: set[str] = set()
    batches: Sequence[Sequence[Delivery]] = [
        [delivery(n * 10 + k, *_toggle(truth, f"m{(n * 7 + k * k) % 11}")) for k in range(5)] for n in range(12)
    ]
    for n, batch in enumerate(batches):
        await bench.deliver(*batch, first_offset=n * 5)
    assert receiver.members() == truth
    counts = bench.counts()
    assert counts["delivered"] + counts["merged"] == 60
    assert counts["dead"] == 0


def _toggle(truth: set[str], member: str) -> tuple[str, list[str]]:
    if member in truth:
        truth.remove(member)
        return "remove", [member]
    truth.add(member)
    return "add", [member]


class Listing(Webhook):
    """A webhook whose connections name a list, and that takes one id type."""

    declaration = replace(
        Webhook.declaration,
        connection_settings=(SettingField("list", "text", "The list", required=True),),
        identifiers=(Identifier("kuid", "kuid"),),
    )

    def attempt(self, request: Request, target: Target) -> WebRequest:
        return replace(super().attempt(request, target), url=f"https://example.com/{target.connection['list']}")


def connection(**settings: object) -> Connection:
    return Connection(
        space_id="acme", name="con_1", created_at="", updated_at="", connection_id="con_1", audience_id="aud_1",
        destination_id="des_1", connection_settings=settings,
    )  # fmt: skip


async def test_a_connector_is_told_the_settings_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "CONNECTORS", {"webhook": Listing()})
    bench = Bench()
    bench.catalogue.connection = connection(list="spring")
    await bench.deliver(ADD)
    assert [request.url for _, request in bench.web.sent] == ["https://example.com/spring"]


async def test_what_is_for_a_connection_that_is_gone_goes_to_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "CONNECTORS", {"webhook": Listing()})
    bench = Bench()
    await bench.deliver(ADD)
    assert bench.web.sent == []
    assert bench.letter_codes() == [codes.DELIVERY_CONNECTION_UNKNOWN.code]


async def test_a_lane_waits_until_the_settings_of_a_connection_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "CONNECTORS", {"webhook": Listing()})
    bench = Bench()
    bench.catalogue.connection = connection()

    def mend() -> None:
        bench.catalogue.connection = connection(list="late")

    bench.clock.events.append((20.0, mend))
    await bench.deliver(ADD)
    assert [request.url for _, request in bench.web.sent] == ["https://example.com/late"]
    assert bench.states()[0] == ("parked", codes.DELIVERY_SETTINGS_INVALID.code)
    assert bench.counts()["delivered"] == 2


async def test_identities_that_the_destination_does_not_take_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "CONNECTORS", {"webhook": Listing()})
    bench = Bench()
    bench.catalogue.connection = connection(list="spring")
    strange = msgspec.structs.replace(delivery(2, "add", ["x"]), id_type="gum")
    await bench.deliver(strange)
    await bench.deliver(ADD, strange, first_offset=1)
    assert sent_members(bench) == [[("entered", ["a", "b"])]]
    assert bench.letter_codes() == [codes.DELIVERY_ID_TYPE_REFUSED.code] * 2
    assert bench.counts() == {"delivered": 2, "merged": 0, "dead": 2, "uploads": 1}
