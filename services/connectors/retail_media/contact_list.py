"""One request to `contact-list/add-remove` or `/clear` of Criteo's Retail Media API: up to 50,000 identifiers.

Forms and codes are those of retail-media.md §2 and §3.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from contracts import codes
from services.connectors.base import Request, Target
from services.connectors.bodies import understood
from services.connectors.oauth import bearing
from services.domain.delivery.answers import DELIVERED, NOT_UNDERSTOOD, Fate, Verdict, judge
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest

IDENTIFIER_TYPES: Final = {
    "email_sha256": "Email",
    "email_md5": "Email",
    "maid": "UserIdentifier",
    "idfa": "UserIdentifier",
    "aaid": "UserIdentifier",
    "identity_link": "IdentityLink",
    "gum": "Gum",
    "customer_id": "CustomerId",
    "user_id": "CustomerId",
}
_SECONDS_MAX: Final = 30.0
_PLACE: Final = frozenset({404, 410})  # no such segment; a version of the API that is retired
_CLEARED: Final = frozenset({201, 204})  # without a body: the one by the source document, the other by the API
PASSING: Final = frozenset({"availability", "quota"})


class Problem(msgspec.Struct):
    """An element of `errors` and `warnings` (retail-media.md §2.2), as far as we look at it."""

    type: str = ""
    code: str = ""


class _Done(msgspec.Struct):
    operation: str = ""


class _Answer(msgspec.Struct):
    data: _Done | None = None
    errors: list[Problem] | None = None


class _Accounts(msgspec.Struct):
    data: list[object]


_read = msgspec.json.Decoder(_Answer).decode
_read_accounts = msgspec.json.Decoder(_Accounts).decode


def request(items: Sequence[Item]) -> Request:
    """Items of one connection, operation and id type; a clearing has no body."""
    said = items[0].delivery
    if said.operation == "clear":
        return Request(id=f"clear_{said.delivery_id}", items=tuple(items), body=b"")
    attributes = {
        "operation": said.operation,
        "identifierType": IDENTIFIER_TYPES[said.id_type],
        "identifiers": [member for item in items for member in item.members],
    }
    body = msgspec.json.encode({"data": {"type": "AddRemoveContactlist", "attributes": attributes}})
    digest = hashlib.sha256(f"{said.connection_id} ".encode() + body).hexdigest()[:32]
    return Request(id=f"contacts_{digest}", items=tuple(items), body=body)


def attempt(sent: Request, target: Target) -> WebRequest:
    """To the segment of the connection."""
    segment = f"audience-segments/{target.connection['segment_id']}"
    call = "clear" if sent.items[0].delivery.operation == "clear" else "add-remove"
    return called("POST", f"{segment}/contact-list/{call}", target, sent.body)


def verification(target: Target) -> WebRequest:
    """The accounts that the app has consent for, one at most (Criteo Retail Media, Accounts)."""
    return called("GET", "accounts?pageSize=1", target)


def verified(answer: WebAnswer) -> Verdict:
    """Whether there is any; a token without consent is of no use."""
    verdict = placed(answer.status)
    if verdict is not DELIVERED:
        return verdict
    said = understood(_read_accounts, answer.body)
    if said is None:
        return NOT_UNDERSTOOD
    if not said.data:
        return Verdict(Fate.UNAUTHORIZED, codes.DELIVERY_AUTHENTICATION, "the app has consent for no account")
    return DELIVERED


def outcomes(sent: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
    """One verdict for all: Criteo counts what is invalid and names a sample. An answer of other words says nothing."""
    said = understood(_read, answer.body) or _Answer()
    verdict = _verdict(answer.status, said, sent.items[0].delivery.operation)
    return {} if verdict is None else dict.fromkeys((item.id for item in sent.items), verdict)


def _verdict(status: int, said: _Answer, operation: str) -> Verdict | None:
    by_status = placed(status)
    if by_status is not DELIVERED:
        return by_status
    if operation == "clear" and not said.errors:
        return DELIVERED if status in _CLEARED else None
    if said.errors:
        problems = {(one.type, one.code) for one in said.errors}
        detail = f"Criteo answered {status} with {len(problems)} kinds of errors"
        if any(kind in PASSING for kind, _ in problems):
            return Verdict(Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, detail)
        return Verdict(Fate.REFUSED, codes.DELIVERY_PERMANENT, detail)
    return DELIVERED if said.data is not None and said.data.operation.lower() == operation else None


def placed(status: int) -> Verdict:
    """The verdict on a status; that of a place which isn't there waits for somebody to name another."""
    verdict = judge(status)
    return Verdict(Fate.BLOCKED, codes.DELIVERY_SETTINGS_INVALID, verdict.detail) if status in _PLACE else verdict


def called(method: str, path: str, target: Target, body: bytes = b"") -> WebRequest:
    """A call of the API."""
    base, version = str(target.settings["url"]).rstrip("/"), target.settings["api_version"]
    return WebRequest(
        method=method,
        url=f"{base}/{version}/retail-media/{path}",
        headers={"content-type": "application/json", **bearing(target.token)},
        body=body,
        timeout_seconds=_SECONDS_MAX,
    )
