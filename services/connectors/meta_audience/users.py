"""One request to `/{audience}/users` of Meta's Marketing API: POST adds, DELETE removes, up to 10,000 rows of one kind.

Forms and error codes are those of destinations.md §2 (keys META, RUD).
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from contracts import codes
from services.connectors.base import Request, Target
from services.connectors.bodies import understood
from services.domain.delivery.answers import DELIVERED, NOT_UNDERSTOOD, Fate, Verdict, judge
from services.domain.delivery.merge import Item, members_of
from services.runtime.secret import SecretUnavailable
from services.runtime.web import WebAnswer, WebRequest

SCHEMAS: Final = {
    "email_sha256": "EMAIL_SHA256",
    "phone_sha256": "PHONE_SHA256",
    "maid": "MOBILE_ADVERTISER_ID",
    "idfa": "MOBILE_ADVERTISER_ID",
    "aaid": "MOBILE_ADVERTISER_ID",
    "customer_id": "EXTERN_ID",
    "user_id": "EXTERN_ID",
}
_SECONDS_MAX: Final = 30.0
_PERMISSION: Final = "ads_management"
_CREDENTIALS: Final = frozenset({10, 102, 190, 200, 294})
_THROTTLED: Final = frozenset({1, 2, 4, 17, 32, 341, 613, 80003})
_PLACE: Final = frozenset({368, 2635})  # the account is blocked for now; the API's version is gone
_PLACE_SUBCODES: Final = frozenset({33, 1713230})  # no such audience; it is flagged and takes no updates


class Error(msgspec.Struct):
    """What Meta says where it refuses."""

    code: int
    error_subcode: int | None = None
    is_transient: bool = False


class Answer(msgspec.Struct):
    """To rows; nothing where it could not be read."""

    num_received: int | None = None
    error: Error | None = None


class _Permission(msgspec.Struct, frozen=True):
    permission: str
    status: str


class _Permissions(msgspec.Struct):
    data: list[_Permission] | None = None
    error: Error | None = None


_read = msgspec.json.Decoder(Answer).decode
_read_permissions = msgspec.json.Decoder(_Permissions).decode


def request(items: Sequence[Item]) -> Request:
    """Items of one connection, operation and id type."""
    said = items[0].delivery
    body = msgspec.json.encode({"payload": payload(SCHEMAS[said.id_type], members_in(items))})
    digest = hashlib.sha256(f"{said.connection_id} {said.operation} ".encode() + body).hexdigest()[:32]
    return Request(id=f"users_{digest}", items=tuple(items), body=body)


def payload(schema: str, members: list[str]) -> dict[str, object]:
    """Members as Meta wants them. EXTERN_ID alone is known only as a key of rows."""
    rows = schema == "EXTERN_ID"
    return {
        "schema": [schema] if rows else schema,
        "is_raw": rows,
        "data": [[member] for member in members] if rows else members,
    }


def members_in(items: Sequence[Item]) -> list[str]:
    """All members of the items, in order."""
    return [member for item in items for member in item.members]


def attempt(sent: Request, target: Target) -> WebRequest:
    """To the audience of the connection, with the credentials of the moment."""
    method = "POST" if sent.items[0].delivery.operation == "add" else "DELETE"
    return called(method, f"{target.connection['audience_id']}/users", target, sent.body)


def verification(target: Target) -> WebRequest:
    """The permissions that the token's user has granted to its app (Graph API, User Permissions)."""
    return called("GET", "me/permissions", target)


def outcomes(sent: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
    """One verdict for all: Meta counts what it received and names none. A count that isn't ours says nothing."""
    verdict = received(answer.status, read(answer), members_of(sent.items))
    return {} if verdict is None else dict.fromkeys((item.id for item in sent.items), verdict)


def read(answer: WebAnswer) -> Answer:
    """What Meta says to rows."""
    return understood(_read, answer.body) or Answer()


def received(status: int, said: Answer, members: int) -> Verdict | None:
    """The verdict on a request with so many rows; None where the answer says nothing of them."""
    if said.error is not None:
        return _refused(status, said.error)
    verdict = judge(status)
    return verdict if verdict is not DELIVERED or said.num_received == members else None


def verified(answer: WebAnswer) -> Verdict:
    """Whether the token is good, and for what we need it."""
    said = understood(_read_permissions, answer.body) or _Permissions()
    verdict = judged(answer.status, said.error)
    if verdict is not DELIVERED:
        return verdict
    if said.data is None:
        return NOT_UNDERSTOOD
    if _Permission(_PERMISSION, "granted") not in said.data:
        return Verdict(Fate.UNAUTHORIZED, codes.DELIVERY_AUTHENTICATION, f"the token is not granted {_PERMISSION}")
    return DELIVERED


def judged(status: int, error: Error | None) -> Verdict:
    """The verdict on an answer with or without an error; `DELIVERED` says nothing yet of what else is in it."""
    return judge(status) if error is None else _refused(status, error) or NOT_UNDERSTOOD


def called(
    method: str, path: str, target: Target, body: bytes = b"", query: Mapping[str, str] | None = None
) -> WebRequest:
    """A call of the Graph API. The token goes in a header: an address ends up in logs."""
    token = _text(target, "access_token")
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    asked = dict(query or {})
    if "app_secret" in target.secrets:
        proof = hmac.new(_text(target, "app_secret").encode(), token.encode(), "sha256").hexdigest()
        asked["appsecret_proof"] = proof
    base, version = target.settings["url"], target.settings["api_version"]
    url = f"{str(base).rstrip('/')}/{version}/{path}" + (f"?{urlencode(asked)}" if asked else "")
    return WebRequest(method=method, url=url, headers=headers, body=body, timeout_seconds=_SECONDS_MAX)


def _refused(status: int, error: Error) -> Verdict | None:
    detail = f"Meta answered {status}, error {error.code}/{error.error_subcode or 0}"
    if error.is_transient or error.code in _THROTTLED:
        return Verdict(Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, detail)
    if error.code in _CREDENTIALS:
        return Verdict(Fate.UNAUTHORIZED, codes.DELIVERY_AUTHENTICATION, detail)
    if error.code in _PLACE or error.error_subcode in _PLACE_SUBCODES:
        return Verdict(Fate.BLOCKED, codes.DELIVERY_SETTINGS_INVALID, detail)
    if 400 <= status <= 499 and judge(status).fate is Fate.REFUSED:
        return Verdict(Fate.REFUSED, codes.DELIVERY_PERMANENT, detail)
    return None if judge(status) is DELIVERED else judge(status)


def _text(target: Target, name: str) -> str:
    text = target.secrets[name].reveal()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise SecretUnavailable(f"the secret {name!r} is no token of Meta's")
    return text
