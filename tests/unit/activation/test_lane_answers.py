"""A webhook that answers 500, 429 with Retry-After, 401, 410, 302, garbage, nothing, slowly: what becomes of deliveries.

In each case: a declared code, counted, kept where it can be found, the good neighbours unaffected (issue 3; faults 53 to 62).
"""

import asyncio
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise

import pytest
from msgspec import structs

from contracts import codes
from services.activation.lane import Lane
from services.activation.lane_health import RetryPolicy
from services.runtime.failures import Rejected, Unavailable
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import PLACE, START_MS, Answer, Bench, Receiver, ScriptedWeb, answer
from tests.unit.domain.delivery.making import delivery, destination

ADD = delivery(1, "add", ["a", "b"])


async def test_a_good_answer_delivers_at_once() -> None:
    bench = Bench([answer(204)])
    await bench.deliver(ADD)
    assert bench.counts() == {"delivered": 2, "merged": 0, "dead": 0, "uploads": 1}
    assert bench.states() == [("delivering", None)]
    assert bench.letters() == []
    assert bench.clock.slept == []


@pytest.mark.parametrize(
    "bad",
    [
        answer(500),
        answer(503, b"\xff" * 100),
        answer(408),
        answer(425),
        answer(429),
        answer(999, b"garbage"),
        answer(0),
        answer(100),
        Unavailable("the connection was refused"),
        Unavailable("not HTTP"),
        Unavailable("no answer within 15 s"),
    ],
)
async def test_what_may_pass_is_tried_again_with_the_same_id_and_bytes(bad: Answer) -> None:
    bench = Bench([bad, bad, bad])
    await bench.deliver(ADD)
    assert len(bench.web.sent) == 4
    assert len({(request.headers["webhook-id"], request.body) for _, request in bench.web.sent}) == 1
    assert bench.clock.slept == [0.5, 1.0, 2.0]  # half of 1, 2, 4: full jitter with a draw of a half
    assert bench.states() == [("retrying", "delivery-unavailable"), ("delivering", None)]
    assert bench.counts() == {"delivered": 2, "merged": 0, "dead": 0, "uploads": 1}


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("30", 30.0),
        (formatdate(START_MS / 1000 + 45, usegmt=True), 45.0),
        ("86400000", 3600.0),
        ("soon", 0.0),
        ("-1", 0.0),
        (formatdate(0, usegmt=True), 0.0),
    ],
)
async def test_retry_after_is_honoured_and_capped(wish: str, seconds: float) -> None:
    bench = Bench([answer(429, retry_after=wish)])
    await bench.deliver(ADD)
    (waited,) = (at for at, _ in bench.web.sent[1:])
    assert seconds <= waited <= seconds + 1.0
    assert bench.counts()["delivered"] == 2


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (answer(302, location="http://169.254.169.254/"), "delivery-redirected"),
        (answer(301), "delivery-redirected"),
        (answer(307), "delivery-redirected"),
        (answer(400), "delivery-permanent"),
        (answer(404), "delivery-permanent"),
        (answer(413), "delivery-permanent"),
        (answer(422), "delivery-permanent"),
        (Rejected(codes.DELIVERY_ADDRESS_REFUSED, "the address is loopback"), "delivery-address-refused"),
    ],
)
async def test_what_is_refused_for_good_goes_to_dead_letters_at_once_and_the_lane_goes_on(
    bad: Answer, code: str
) -> None:
    bench = Bench([bad], to=destination(limits={"items_per_request": 2}))
    await bench.deliver(ADD, delivery(2, "add", ["c"]))
    assert bench.letter_codes() == [code]
    assert bench.letters()[0].value == bench.records(ADD)[0].value
    assert len(bench.web.sent) == 2
    assert bench.clock.slept == []
    assert bench.counts() == {"delivered": 1, "merged": 0, "dead": 2, "uploads": 1}
    assert [one.code for one in bench.outcomes()] == [code, None]
    assert bench.states() == [("delivering", None)]


async def test_a_dead_letter_says_why_and_whence() -> None:
    bench = Bench([answer(503), answer(422)])
    await bench.deliver(ADD)
    headers = {name: value.decode() for name, value in bench.letters()[0].headers}
    assert headers == {
        "dlq-code": "delivery-permanent",
        "dlq-detail": "the destination answered 422",
        "dlq-topic": "deliveries.q1.v1",
        "dlq-partition": "0",
        "dlq-offset": "0",
        "dlq-service": "activation",
        "dlq-attempts": "2",
    }


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_tried_afresh_once_and_then_only_probed(status: int) -> None:
    bench = Bench([answer(status)] * 4)
    await bench.deliver(ADD)
    assert [at for at, _ in bench.web.sent] == [0.0, 0.0, 225.0, 450.0, 675.0]  # probes: three quarters of 5 minutes
    assert bench.states() == [("parked", "delivery-authentication"), ("delivering", None)]
    assert bench.letters() == []
    assert bench.counts()["delivered"] == 2


async def test_credentials_that_were_just_renewed_cost_no_pause() -> None:
    bench = Bench([answer(401)])
    await bench.deliver(ADD)
    assert [at for at, _ in bench.web.sent] == [0.0, 0.0]
    assert bench.states() == [("delivering", None)]


async def test_gone_stops_the_lane_until_its_owner_acts_and_keeps_the_backlog() -> None:
    bench = Bench([answer(410)])
    bench.clock.events.append((5 * 3600.0, lambda: setattr(bench.catalogue, "present", destination(version=2))))
    await bench.deliver(ADD)
    first, second = bench.web.sent
    assert first[0] == 0.0
    assert 5 * 3600.0 <= second[0] <= 5 * 3600.0 + 5.0
    assert bench.states() == [("disabled", "delivery-destination-gone"), ("delivering", None)]
    assert bench.counts() == {"delivered": 2, "merged": 0, "dead": 0, "uploads": 1}


async def test_a_destination_down_longer_than_the_budget_is_parked_and_probed_and_nothing_is_lost() -> None:
    """Fault 60; memory stays bounded by the one batch that the lane holds."""
    bench, receiver = Bench(), Receiver()

    def up_after_five_hours(request: WebRequest) -> WebAnswer:
        if bench.clock.seconds < 5 * 3600.0:
            raise Unavailable("the connection was refused")
        return receiver.take(request)

    bench.web.otherwise = up_after_five_hours
    await bench.deliver(ADD)
    assert bench.states() == [
        ("retrying", "delivery-unavailable"),
        ("parked", "delivery-unavailable"),
        ("delivering", None),
    ]
    times = [at for at, _ in bench.web.sent]
    parked = [at for at in times if at >= 4 * 3600.0]
    assert [later - earlier for earlier, later in pairwise(parked)] == pytest.approx([225.0] * (len(parked) - 1))
    assert receiver.members() == {"a", "b"}
    assert bench.letters() == []
    await bench.deliver(delivery(2, "remove", ["a"]))
    assert receiver.members() == {"b"}


async def test_each_failed_attempt_says_how_long_what_waits_has_waited() -> None:
    bench = Bench([answer(503)] * 3)
    bench.clock.seconds = 7.0

    await bench.lane.deliver([structs.replace(one, timestamp_ms=START_MS) for one in bench.records(ADD)])

    *failed, good = bench.lane_states()
    tried = [at for at, _ in bench.web.sent][:-1]
    assert [one.waited_ms for one in failed] == [round(at * 1000) for at in tried]
    assert (len(failed), good.state) == (3, "delivering")


async def test_the_budget_counts_from_the_first_failure_after_a_success() -> None:
    """Not from a success of yesterday, after which there was nothing to send."""
    bench = Bench(policy=RetryPolicy(budget_seconds=60.0))
    await bench.deliver(ADD)
    bench.clock.seconds += 86_400.0
    bench.web.script = [Unavailable("reset")] * 3
    await bench.deliver(delivery(2, "add", ["c"]))
    assert bench.states() == [("delivering", None), ("retrying", "delivery-unavailable"), ("delivering", None)]


async def test_a_record_does_not_get_the_budget_anew() -> None:
    """A lane that fails for every second record is well; one that fails for hours is parked, whatever the record."""
    bench = Bench(policy=RetryPolicy(budget_seconds=10.0, probe_seconds=100.0))
    bench.web.script = [Unavailable("reset")] * 8
    await bench.deliver(ADD)
    assert ("parked", "delivery-unavailable") in bench.states()


async def test_records_near_their_retention_go_to_dead_letters_and_never_silently_away() -> None:
    bench = Bench(record_age_seconds_max=6 * 3600.0)
    bench.web.otherwise = Unavailable("the connection was refused")
    await bench.deliver(ADD)
    assert bench.letter_codes() == ["delivery-unavailable"]
    assert 6 * 3600.0 <= bench.clock.seconds <= 6 * 3600.0 + 300.0
    assert bench.counts() == {"delivered": 0, "merged": 0, "dead": 2, "uploads": 0}


async def test_an_old_backlog_is_delivered_where_the_destination_is_well() -> None:
    bench = Bench(record_age_seconds_max=6 * 3600.0)
    (record,) = bench.records(ADD)
    bench.clock.seconds += 7 * 3600.0
    await bench.lane.deliver([record])
    assert bench.counts()["delivered"] == 2


async def test_a_slow_destination_has_the_time_that_it_set_and_holds_up_no_other_lane() -> None:
    slow, quick = Bench(to=destination()), Bench()
    answered = asyncio.Event()

    class SlowWeb(ScriptedWeb):
        async def send(self, request: WebRequest) -> WebAnswer:
            await answered.wait()
            return await super().send(request)

    web = SlowWeb(slow.clock)
    lane = Lane(PLACE, replace(slow.ports, web=web))
    waiting = asyncio.create_task(lane.deliver(slow.records(ADD)))
    await asyncio.sleep(0)
    await quick.deliver(ADD)
    assert quick.counts()["delivered"] == 2
    assert not waiting.done()
    answered.set()
    await waiting
    assert web.sent[0][1].timeout_seconds == 15.0
    assert slow.counts()["delivered"] == 2


async def test_a_revoked_lane_stops_waiting_at_once_and_the_next_owner_sends_the_same() -> None:
    bench = Bench([Unavailable("reset")] * 3)
    held = asyncio.Event()

    async def never(seconds: float) -> None:
        held.set()
        await asyncio.Event().wait()

    bench.clock.sleep = never  # type: ignore[method-assign]  # the one clock of this test that does not jump
    waiting = asyncio.create_task(bench.deliver(ADD))
    await held.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert bench.outcomes() == []
    after = Bench()
    await after.deliver(ADD)
    (first,), (second,) = bench.web.sent, after.web.sent
    assert (first[1].headers["webhook-id"], first[1].body) == (second[1].headers["webhook-id"], second[1].body)


TABLED = destination(
    connector="postgres", secrets={"username": "env:USHER_SECRET_USER", "password": "env:USHER_SECRET_PASSWORD"}
)
TABLED = structs.replace(TABLED, settings={"host": "db.example.com", "database": "d"})
NAMED = structs.replace(delivery(1, "add", ["a", "b"]), activation_name="spring")


@pytest.mark.parametrize(
    ("failure", "states", "counts"),
    [
        (Unavailable("no server"), [("retrying", "delivery-unavailable"), ("delivering", None)], (2, 0)),
        (Rejected(codes.DELIVERY_SETTINGS_INVALID, "no schema"), [("parked", "delivery-settings-invalid"), ("delivering", None)], (2, 0)),
        (Rejected(codes.DELIVERY_AUTHENTICATION, "no"), [("delivering", None)], (2, 0)),
        (Rejected(codes.DELIVERY_PERMANENT, "bytes"), [("delivering", None)], (0, 2)),
        (Rejected(codes.DELIVERY_ADDRESS_REFUSED, "private"), [("delivering", None)], (0, 2)),
    ],
)  # fmt: skip
async def test_an_effect_that_fails_waits_or_is_refused_by_its_reason(
    failure: Exception, states: list[tuple[str, str | None]], counts: tuple[int, int]
) -> None:
    """Faults 63 and 65: what is down, or not yet made, makes the lane wait, and the same effect is carried out then."""
    bench = Bench(to=TABLED, environment={"USHER_SECRET_USER": "u", "USHER_SECRET_PASSWORD": "p"})
    bench.outlets.script = [failure]
    await bench.deliver(NAMED)
    assert bench.states() == states
    assert (bench.counts()["delivered"], bench.counts()["dead"]) == counts
    assert len(bench.outlets.done) == (1 if counts[0] else 0)
