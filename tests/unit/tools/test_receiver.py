"""The receiver, alone and at the end of a lane over real HTTP."""

import base64
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import aiohttp
import pytest

from services.activation.lane import Lane
from services.adapters.http import HttpWeb
from services.connectors.base import Target
from services.connectors.declaration import filled
from services.connectors.webhook.definition import DECLARATION, Webhook
from services.domain.delivery.merge import collapse, cut
from services.runtime.failures import Unavailable
from services.runtime.secret import Secret
from services.runtime.web import WebRequest
from services.tools.received import Received, Refused
from services.tools.receiver import Behaviour, Receiver, secret_value, serving
from tests.unit.activation.lane_bench import PLACE, Bench, JumpingClock
from tests.unit.domain.delivery.making import delivery, destination

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
NOW = 1_767_312_000


def sent(*said: tuple[int, str, list[str]], url: str = "http://example.com/hook", secret: str = SECRET) -> WebRequest:
    """What the webhook connector sends for these deliveries: (sequence, operation, members)."""
    (items,) = cut(collapse([delivery(*one) for one in said]), 1_000)
    webhook = Webhook()
    settings = filled(DECLARATION.settings, {"url": url})
    (request,) = webhook.requests(items, settings)
    return webhook.attempt(request, Target(settings, {"a": Secret(secret)}, NOW * 1000))


def take(receiver: Received, request: WebRequest, now_seconds: float = NOW) -> None:
    receiver.take(request.headers, request.body, now_seconds)


def test_what_is_received_is_applied_by_sequence_and_counted() -> None:
    receiver = Received([OTHER, SECRET])
    take(receiver, sent((5, "add", ["a", "b"])))
    take(receiver, sent((7, "remove", ["a"])))
    take(receiver, sent((5, "add", ["a", "b"])))  # a repeat
    take(receiver, sent((6, "add", ["a"])))  # late
    assert receiver.members("act_1") == ["b"]
    assert receiver.sizes() == {"act_1": 1}
    assert receiver.counters == {
        "requests": 4,
        "refused": 0,
        "messages": 3,
        "repeated_messages": 1,
        "deliveries": 3,
        "repeated_deliveries": 1,
        "conflicts": 0,
        "entered": 2,
        "exited": 1,
        "stale": 3,
    }


def test_an_id_with_two_contents_is_a_conflict() -> None:
    receiver = Received()
    take(receiver, sent((5, "add", ["a"])))
    take(receiver, sent((5, "add", ["b"])))
    assert receiver.counters["conflicts"] == 1


@pytest.mark.parametrize(
    ("secret", "now_seconds", "body", "status"),
    [
        (OTHER, NOW, None, 401),
        (SECRET, NOW + 301, None, 401),
        (SECRET, NOW - 301, None, 401),
        (SECRET, NOW, b'{"type":"audience.membership","deliveries":[]}', 401),
    ],
)
def test_what_is_not_rightly_signed_is_refused(
    secret: str, now_seconds: float, body: bytes | None, status: int
) -> None:
    receiver = Received([SECRET])
    request = sent((5, "add", ["a"]), secret=secret)
    with pytest.raises(Refused) as caught:
        receiver.take(request.headers, body or request.body, now_seconds)
    assert caught.value.status == status
    assert receiver.counters["refused"] == 1
    assert receiver.sizes() == {}


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_every_header_of_the_standard_is_needed(missing: str) -> None:
    request = sent((5, "add", ["a"]))
    headers = {name: value for name, value in request.headers.items() if name != missing}
    with pytest.raises(Refused):
        Received([SECRET]).take(headers, request.body, NOW)


def test_secrets_are_given_by_reference_or_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    assert secret_value(f"file:{tmp_path}/secret", {}) == SECRET
    assert secret_value("env:A", {"A": SECRET}) == SECRET
    assert secret_value(SECRET, {}) == SECRET


@pytest.fixture
async def receiver() -> Receiver:
    clock = JumpingClock()
    clock.seconds = time.time() - clock.now_ms() / 1000  # the lanes' signatures are of the same time
    return Receiver(secrets=[SECRET], clock=clock)


@pytest.fixture
async def url(receiver: Receiver) -> AsyncIterator[str]:
    async with serving(receiver) as base:
        yield base


@pytest.fixture
async def web() -> AsyncIterator[HttpWeb]:
    made = HttpWeb(allow_private=True)
    yield made
    await made.close()


async def test_it_is_told_how_to_answer_and_says_what_it_has(receiver: Receiver, url: str) -> None:
    request = sent((5, "add", ["b", "a"]))
    receiver.received = Received()
    async with aiohttp.ClientSession() as session:
        told = [{"status": 429, "headers": {"retry-after": "7"}, "body": "later"}, {"status": 500, "times": 2}]
        async with session.post(f"{url}/behave", json=told) as answer:
            assert answer.status == 200
        statuses = []
        for _ in range(4):
            async with session.post(f"{url}/hook", data=request.body, headers=dict(request.headers)) as answer:
                statuses.append((answer.status, answer.headers.get("retry-after")))
        assert statuses == [(429, "7"), (500, None), (500, None), (200, None)]
        async with session.get(f"{url}/state?members=1") as answer:
            state = await answer.json()
        assert (state["activations"], state["misbehaved"], state["requests"]) == ({"act_1": ["a", "b"]}, 3, 1)
        async with session.get(f"{url}/state") as answer:
            assert (await answer.json())["activations"] == {"act_1": 2}
        async with session.post(f"{url}/behave", data=b'{"statos":1}') as answer:
            assert answer.status == 400


async def test_it_can_end_without_an_answer_or_speak_no_http(receiver: Receiver, url: str, web: HttpWeb) -> None:
    receiver.received = Received()
    request = sent((5, "add", ["a"]), url=f"{url}/hook")
    for behaviour in (Behaviour(cut=True), Behaviour(garbage=True), Behaviour(cut=True, applied=True)):
        receiver.behave([behaviour])
        with pytest.raises(Unavailable):
            await web.send(request)
    assert receiver.state(members=True)["activations"] == {"act_1": ["a"]}
    assert (await web.send(request)).status == 200
    assert receiver.received.counters["repeated_messages"] == 1


async def test_a_lane_over_real_http_brings_a_hostile_receiver_to_the_membership(
    receiver: Receiver, url: str, web: HttpWeb
) -> None:
    """500, 429 with Retry-After, 401, garbage, nothing, and what took effect though we never learnt (fault 58)."""
    bench = Bench(
        to=destination(url=f"{url}/hook", secrets={"a": "env:USHER_SECRET_A"}), environment={"USHER_SECRET_A": SECRET}
    )
    bench.clock.seconds = time.time() - bench.clock.now_ms() / 1000
    bench.lane = Lane(PLACE, replace(bench.ports, web=web))
    receiver.behave(
        [
            Behaviour(status=500, times=2),
            Behaviour(status=429, headers={"Retry-After": formatdate(time.time() + 30, usegmt=True)}),
            Behaviour(status=401),
            Behaviour(garbage=True),
            Behaviour(cut=True),
            Behaviour(cut=True, applied=True),
            Behaviour(status=503, applied=True, body="x" * 200_000),
        ]
    )
    await bench.deliver(delivery(1, "add", ["a", "ü²", "c"]), delivery(2, "remove", ["a"]))
    receiver.behave([Behaviour(status=302, headers={"Location": f"{url}/hook"})])
    await bench.deliver(delivery(3, "add", ["d"]), first_offset=2)
    await bench.deliver(delivery(4, "add", ["e"]), first_offset=3)
    assert receiver.state(members=True)["activations"] == {"act_1": ["c", "e", "ü²"]}
    counters = receiver.received.counters
    assert (counters["refused"], counters["conflicts"], counters["repeated_messages"]) == (0, 0, 2)
    assert bench.counts() == {"delivered": 4, "merged": 1, "dead": 1, "uploads": 2}
    assert bench.letter_codes() == ["delivery-redirected"]


async def test_private_addresses_are_refused_before_a_byte_is_sent_unless_allowed(receiver: Receiver, url: str) -> None:
    guarded = HttpWeb(allow_private=False)
    bench = Bench(to=destination(url=f"{url}/hook"))
    bench.lane = Lane(PLACE, replace(bench.ports, web=guarded))
    await bench.deliver(delivery(1, "add", ["a"]))
    await guarded.close()
    assert receiver.received.counters["requests"] == 0
    assert bench.letter_codes() == ["delivery-address-refused"]
