"""The body of a webhook: a function of the items alone, so that every attempt and every replay sends the same bytes.

Nothing that can change between two attempts may stand here, not even an audience's name.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from contracts.instants import instant_text
from contracts.messages.published import Cause
from services.connectors.base import Request
from services.connectors.events import payloads
from services.domain.delivery.merge import Item, part

MESSAGE_TYPE: Final = "audience.membership"
VERIFICATION_TYPE: Final = "usher.verify"
_CHANGE: Final[dict[str, Literal["entered", "exited"]]] = {"add": "entered", "remove": "exited"}


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """Members that entered or exited one audience, for one activation.

    For each (activation, member) the highest `sequence` is the truth. `delivery_id` never stands for two contents.
    `resync`: sent to bring the destination up to date, not because of a change now; `cause` is null. `at` is RFC 3339.
    """

    delivery_id: str
    sequence: int
    space_id: str
    activation_id: str
    connection_id: str
    audience_id: str
    change: Literal["entered", "exited"]
    resync: bool
    id_type: str
    members: list[str]
    at: str
    step: int
    cause: Cause | None


class WebhookMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The body of one request."""

    type: str = MESSAGE_TYPE
    deliveries: list[WebhookDelivery]


_encode = msgspec.json.Encoder().encode


def request(items: Sequence[Item]) -> Request:
    """One request with all of the items. Its id is a digest of its body, and so the webhook-id of those bytes only."""
    body = _encode(WebhookMessage(deliveries=[_delivery(item) for item in items]))
    return Request(id=_id(body), items=tuple(items), body=body)


def verification(now_ms: int) -> Request:
    """A message of no deliveries, of a type that receivers skip; each moment's has an id of its own: no repeat."""
    body = _encode({"type": VERIFICATION_TYPE, "deliveries": [], "at": instant_text(now_ms)})
    return Request(id=_id(body), items=(), body=body)


def events(items: Sequence[Item]) -> list[Request]:
    """One request for each member, with its event alone; two members never share an id, whatever a mapping makes."""
    return [
        Request(id=_event_id(alone, body), items=(alone,), body=body)
        for item in items
        for member, body in zip(item.members, payloads(item), strict=True)
        for alone in (part(item, [member]),)
    ]


def _event_id(alone: Item, body: bytes) -> str:
    said = f"{alone.delivery.delivery_id} {alone.members[0]} ".encode()
    return _id(said + body)


def _id(content: bytes) -> str:
    """No dots: they separate the parts of what is signed."""
    return f"msg_{hashlib.sha256(content).hexdigest()[:32]}"


def _delivery(item: Item) -> WebhookDelivery:
    delivery = item.delivery
    return WebhookDelivery(
        delivery_id=item.id,
        sequence=delivery.sequence,
        space_id=delivery.space_id,
        activation_id=delivery.activation_id,
        connection_id=delivery.connection_id,
        audience_id=delivery.audience_id,
        change=_CHANGE[delivery.operation],
        resync=delivery.resync,
        id_type=delivery.id_type,
        members=item.members,
        at=delivery.at,
        step=delivery.step,
        cause=delivery.cause,
    )
