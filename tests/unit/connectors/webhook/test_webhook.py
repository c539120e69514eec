"""The webhook connector: its bytes, its signatures (checked by the standard's own code), its verdicts."""

import base64
import dataclasses
import time
from typing import Any

import msgspec
import pytest
import standardwebhooks

from contracts.instants import instant_text
from services.connectors.base import Target
from services.connectors.declaration import filled, mistakes
from services.connectors.webhook.definition import DECLARATION, Webhook
from services.domain.delivery.answers import Fate
from services.domain.delivery.merge import Item, collapse, cut
from services.runtime.secret import Secret, SecretUnavailable
from services.runtime.web import WebAnswer, WebRequest
from services.tools.received import Received
from tests.unit.domain.delivery.making import delivery

SETTINGS = filled(DECLARATION.settings, {"url": "https://example.com/hook"})
OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 64).decode()
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()


def items() -> list[Item]:
    said = [
        delivery(41, "add", ["u1", "ü²", '"quoted"\\']),
        delivery(42, "remove", ["u1"]),
        delivery(43, "add", ["u9"], activation_id="act_2", resync=True),
    ]
    (batch,) = cut(collapse(said), 1_000)
    return batch


def attempt(now_ms: int, **secrets: str) -> WebRequest:
    webhook = Webhook()
    (request,) = webhook.requests(items(), SETTINGS)
    return webhook.attempt(request, Target(SETTINGS, {name: Secret(value) for name, value in secrets.items()}, now_ms))


def verified(sent: WebRequest, secret: str) -> Any:
    return standardwebhooks.Webhook(secret).verify(sent.body, dict(sent.headers))


def test_a_verification_is_signed_has_no_deliveries_and_is_no_repeat() -> None:
    now_ms = int(time.time() * 1000)
    target = Target(SETTINGS, {"a": Secret(OLD), "b": Secret(NEW)}, now_ms)
    sent = Webhook().verification(target)
    for secret in (OLD, NEW):
        assert verified(sent, secret) == {"type": "usher.verify", "deliveries": [], "at": instant_text(now_ms)}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verified(sent, OTHER)
    later = Webhook().verification(dataclasses.replace(target, now_ms=now_ms + 1))
    assert later.headers["webhook-id"] != sent.headers["webhook-id"]


def test_our_own_receiver_takes_a_verification_and_does_nothing() -> None:
    received = Received([OLD])
    sent = Webhook().verification(Target(SETTINGS, {"a": Secret(OLD)}, 1_767_312_000_000))
    received.take(sent.headers, sent.body, 1_767_312_000)
    assert received.sizes() == {}
    assert received.counters["refused"] == 0


def test_the_body_says_what_happened() -> None:
    (request,) = Webhook().requests(items(), SETTINGS)
    body = msgspec.json.decode(request.body)
    assert body["type"] == "audience.membership"
    first, second, third = body["deliveries"]
    assert first == {
        "delivery_id": items()[0].id,
        "sequence": 41,
        "space_id": "acme",
        "activation_id": "act_1",
        "connection_id": "con_1",
        "audience_id": "aud_1",
        "change": "entered",
        "resync": False,
        "id_type": "kuid",
        "members": ["ü²", '"quoted"\\'],
        "at": "2026-01-02T00:00:00.000Z",
        "step": 7,
        "cause": {"kind": "import", "id": "imp_1"},
    }
    assert (second["delivery_id"], second["change"], second["members"]) == ("acme.7.0.42.act_1", "exited", ["u1"])
    assert (third["activation_id"], third["resync"], third["cause"]) == ("act_2", True, None)
    assert request.items == tuple(items())


def test_the_same_items_have_the_same_id_and_bytes_and_others_have_others() -> None:
    webhook = Webhook()
    (one,), (two,) = webhook.requests(items(), SETTINGS), webhook.requests(items(), SETTINGS)
    assert (one.id, one.body) == (two.id, two.body)
    (less,) = webhook.requests(items()[:2], SETTINGS)
    assert less.id != one.id
    assert one.id.startswith("msg_")
    assert "." not in one.id


def test_single_events_are_a_request_for_each_member_in_order() -> None:
    made = Webhook().requests(items(), {**SETTINGS, "body": "event"})
    found = [msgspec.json.decode(request.body) for request in made]
    assert [(one["userId"], one["context"]["usher"]["sequence"]) for one in found] == [
        ("ü²", 41),
        ('"quoted"\\', 41),
        ("u1", 42),
        ("u9", 43),
    ]
    assert [(item.id.partition(".act_1.")[0], item.members) for item in made[0].items] == [("acme.7.0.41", ["ü²"])]
    assert len({request.id for request in made}) == 4


def test_a_mapped_activation_is_sent_singly_and_its_neighbours_as_before() -> None:
    first, second, third = items()
    mapped = msgspec.structs.replace(third.delivery, mapping={"payload": {"@literal": "x"}}, members=["u8", "u9"])
    alike = Item(third.index, third.id, mapped, mapped.members)
    together, one, other = Webhook().requests([first, second, alike], SETTINGS)
    assert together.items == (first, second)
    assert (one.body, other.body) == (b'"x"', b'"x"')
    assert one.id != other.id


@pytest.mark.parametrize("body", ["changes", "event"])
def test_no_name_and_no_identifier_breaks_out_of_a_header(body: str) -> None:
    """Fault 68."""
    broken = "a\r\nx-injected: 1.b\x00"
    first, *_ = items()
    said = msgspec.structs.replace(
        first.delivery, activation_id=broken, activation_name=broken, delivery_id=broken, space_id=broken,
        members=[broken],
    )  # fmt: skip
    (request,) = Webhook().requests([Item(0, broken, said, said.members)], {**SETTINGS, "body": body})
    headers = Webhook().attempt(request, Target(SETTINGS, {"a": Secret(OLD)}, 1_000)).headers
    assert all(text.isprintable() for text in (*headers, *headers.values()))
    assert "x-injected" not in headers
    assert "." not in headers["webhook-id"]


def test_every_attempt_has_the_same_id_and_its_own_time() -> None:
    first, second = attempt(1_000_000, a=OLD), attempt(9_000_999, a=OLD)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert (first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]) == ("1000", "9000")
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert first.body == second.body
    assert (first.method, first.url, first.timeout_seconds) == ("POST", "https://example.com/hook", 15.0)


def test_the_standards_own_code_verifies_each_secret_during_rotation() -> None:
    sent = attempt(time.time_ns() // 1_000_000, one=OLD, two=NEW)
    for secret in (OLD, NEW):
        assert verified(sent, secret)["type"] == "audience.membership"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verified(sent, OTHER)


def test_one_value_may_hold_several_secrets_and_lack_padding() -> None:
    sent = attempt(time.time_ns() // 1_000_000, one=f"{OLD}\n{NEW.rstrip('=')}\n")
    assert len(sent.headers["webhook-signature"].split()) == 2
    verified(sent, NEW)


def test_a_changed_body_is_not_verified() -> None:
    sent = attempt(time.time_ns() // 1_000_000, one=OLD)
    forged = WebRequest(method="POST", url=sent.url, headers=sent.headers, body=sent.body.replace(b"u9", b"u8"))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verified(forged, OLD)


def test_without_secrets_nothing_is_signed() -> None:
    assert "webhook-signature" not in attempt(0).headers


@pytest.mark.parametrize(
    "value",
    [
        "",
        " \n",
        "hunter2",
        "whsec_",
        "whsec_!!!",
        "whsec_" + base64.b64encode(b"short").decode(),
        "whsec_" + base64.b64encode(b"l" * 65).decode(),
        base64.b64encode(b"p" * 32).decode(),
        f"{OLD} hunter2",
        "whsec_ü",
    ],
)
def test_what_is_no_signing_secret_is_refused_and_never_repeated(value: str) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        attempt(0, name=value)
    text = f"{caught.value!r} {caught.value.__context__!r}"
    assert all(part not in text for part in value.split() if len(part) > 6)


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(OLD)
    assert OLD not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == OLD


@pytest.mark.parametrize("body", [b"", b"{", b"\xff" * 100, b'{"errors":[1,2]}', b"[" * 100_000])
@pytest.mark.parametrize(
    ("status", "fate"),
    [(200, Fate.DELIVERED), (302, Fate.REFUSED), (401, Fate.UNAUTHORIZED), (410, Fate.GONE), (503, Fate.UNAVAILABLE)],
)
def test_the_status_is_the_verdict_on_every_item_whatever_the_body(status: int, fate: Fate, body: bytes) -> None:
    webhook = Webhook()
    (request,) = webhook.requests(items(), SETTINGS)
    said = webhook.outcomes(request, WebAnswer(status=status, headers={}, body=body))
    assert {item_id: verdict.fate for item_id, verdict in said.items()} == {item.id: fate for item in items()}


def test_no_identifier_reaches_a_header() -> None:
    sent = attempt(0, one=OLD)
    assert not any("u1" in text or "ü" in text or OLD in text for text in sent.headers.values())
    assert all(text.isascii() and text.isprintable() for text in sent.headers.values())


def test_the_declaration_takes_any_number_of_secrets() -> None:
    good = {"url": "https://example.com/hook"}
    assert mistakes(DECLARATION, settings=good, secrets={}, limits={}) == []
    assert mistakes(DECLARATION, settings=good, secrets={"a": "env:A", "b": "file:/b"}, limits={}) == []
    assert [one.field for one in mistakes(DECLARATION, settings=good, secrets={"a": OLD}, limits={})] == ["secrets.a"]
