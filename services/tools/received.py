"""What a well-behaved receiver of usher's webhooks does: verifies, applies by sequence, and counts. No HTTP.

Written against services/connectors/webhook/README.md alone, sharing no code with the sender, so that it can catch it.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

TOLERANCE_SECONDS: Final = 300
_PRESENT: Final = 1  # the lowest bit of a member's state; above it stands the sequence


class Entry(msgspec.Struct):
    """The part of an entry of `deliveries` that a receiver needs; the rest is ignored, as the reading rule says."""

    delivery_id: str
    sequence: int
    activation_id: str
    change: str
    members: list[str]


class Message(msgspec.Struct):
    """The body of a webhook."""

    type: str
    deliveries: list[Entry]


_decode = msgspec.json.Decoder(Message).decode


class Refused(Exception):  # noqa: N818 - named for what happens to the request
    """The request is not taken; `status` is the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Received:
    """All that was received. `secrets` are whsec_ secrets, any of which may have signed; without any, none is asked."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._keys = [base64.b64decode(secret.removeprefix("whsec_") + "==") for secret in secrets]
        self._states: dict[str, dict[str, int]] = {}
        self._messages: dict[str, bytes] = {}
        self._deliveries: dict[str, bytes] = {}
        self.counters = dict.fromkeys(
            (
                "requests",  # everything that came, refused ones too
                "refused",  # for their signature, their time or their form
                "messages",  # of different webhook-ids
                "repeated_messages",
                "deliveries",  # of different delivery ids
                "repeated_deliveries",
                "conflicts",  # an id with two contents: never
                "entered",  # members, repeats and late ones not counted
                "exited",
                "stale",  # members whose state was as new or newer already
            ),
            0,
        )

    def take(self, headers: Mapping[str, str], body: bytes, now_seconds: float, *, half: bool = False) -> None:
        """Verifies and applies one request, or the first half of it; header names are lower-case. Raises `Refused`."""
        self.counters["requests"] += 1
        try:
            self._verify(headers, body, now_seconds)
            message = _decode(body)
        except msgspec.MsgspecError as error:
            self.counters["refused"] += 1
            raise Refused(400, str(error)) from None
        except Refused:
            self.counters["refused"] += 1
            raise
        self._once("messages", self._messages, headers.get("webhook-id", ""), body)
        deliveries = message.deliveries
        for entry in deliveries[: len(deliveries) // 2] if half else deliveries:
            content = msgspec.json.encode(entry)
            self._once("deliveries", self._deliveries, entry.delivery_id, content)
            self._apply(entry)

    def members(self, activation_id: str) -> list[str]:
        """Who is in the audience of an activation, as far as this receiver was told; sorted."""
        return sorted(member for member, state in self._states.get(activation_id, {}).items() if state & _PRESENT)

    def delivery_ids(self) -> set[str]:
        """Of all deliveries that were taken."""
        return set(self._deliveries)

    def sizes(self) -> dict[str, int]:
        """Members present, by activation."""
        return {
            activation_id: sum(state & _PRESENT for state in states.values())
            for activation_id, states in self._states.items()
        }

    def _once(self, what: str, seen: dict[str, bytes], id: str, content: bytes) -> None:
        digest = hashlib.sha256(content).digest()
        known = seen.setdefault(id, digest)
        self.counters["conflicts"] += known != digest
        self.counters[f"repeated_{what}" if len(seen) == self.counters[what] else what] += 1

    def _apply(self, entry: Entry) -> None:
        entered = entry.change == "entered"
        states = self._states.setdefault(entry.activation_id, {})
        state = entry.sequence << 1 | (_PRESENT if entered else 0)
        newer = [member for member in entry.members if states.get(member, -1) < state]
        states.update(dict.fromkeys(newer, state))
        self.counters["entered" if entered else "exited"] += len(newer)
        self.counters["stale"] += len(entry.members) - len(newer)

    def _verify(self, headers: Mapping[str, str], body: bytes, now_seconds: float) -> None:
        """As Standard Webhooks 1.0 says."""
        message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not message_id or not (timestamp.isascii() and timestamp.isdigit()):
            raise Refused(400, "no webhook-id or no webhook-timestamp")
        if not self._keys:
            return
        if abs(now_seconds - int(timestamp)) > TOLERANCE_SECONDS:
            raise Refused(401, "the webhook-timestamp is too far from now")
        signed = f"{message_id}.{timestamp}.".encode() + body
        expected = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in self._keys]
        given = [part.removeprefix("v1,") for part in headers.get("webhook-signature", "").split() if part[:3] == "v1,"]
        if not any(hmac.compare_digest(one.encode(), other.encode()) for one in expected for other in given):
            raise Refused(401, "no signature is right")
