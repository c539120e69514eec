"""One request to `/{audience}/users` of Meta's Marketing API: POST adds, DELETE removes, up to 10,000 rows of one kind.

Forms and error codes are those of destinations.md §2 (keys META, RUD).
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from contracts import codes
from services.connectors.base import Request, Target
from services.domain.delivery.answers import DELIVERED, Fate, Verdict, judge
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
_CREDENTIALS: Final = frozenset({10, 102, 190, 200, 294})
_THROTTLED: Final = frozenset({1, 2, 4, 17, 32, 341, 613, 80003})
_PLACE: Final = frozenset({368, 2635})  # the account is blocked for now; the API's version is gone
_PLACE_SUBCODES: Final = frozenset({33, 1713230})  # no such audience; it is flagged and takes no updates


class _Error(msgspec.Struct):
    code: int
    error_subcode: int | None = None
    is_transient: bool = False


class _Answer(msgspec.Struct):
    num_received: int | None = None
    error: _Error | None = None


_read = msgspec.json.Decoder(_Answer).decode


def request(items: Sequence[Item]) -> Request:
    """Items of one connection, operation and id type. EXTERN_ID alone is known only as a key of rows."""
    schema = SCHEMAS[items[0].delivery.id_type]
    members = [member for item in items for member in item.members]
    rows = schema == "EXTERN_ID"
    payload = {
        "schema": [schema] if rows else schema,
        "is_raw": rows,
        "data": [[member] for member in members] if rows else members,
    }
    body = msgspec.json.encode({"payload": payload})
    said = items[0].delivery
    digest = hashlib.sha256(f"{said.connection_id} {said.operation} ".encode() + body).hexdigest()[:32]
    return Request(id=f"users_{digest}", items=tuple(items), body=body)


def attempt(sent: Request, target: Target) -> WebRequest:
    """The token goes in a header: an address ends up in logs."""
    token = _text(target, "access_token")
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    base, version = target.settings["url"], target.settings["api_version"]
    url = f"{str(base).rstrip('/')}/{version}/{target.connection['audience_id']}/users"
    if "app_secret" in target.secrets:
        proof = hmac.new(_text(target, "app_secret").encode(), token.encode(), "sha256").hexdigest()
        url += f"?appsecret_proof={proof}"
    method = "POST" if sent.items[0].delivery.operation == "add" else "DELETE"
    return WebRequest(method=method, url=url, headers=headers, body=sent.body, timeout_seconds=_SECONDS_MAX)


def outcomes(sent: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
    """One verdict for all: Meta counts what it received and names none. A count that isn't ours says nothing."""
    try:
        said = _read(answer.body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        said = _Answer()
    verdict = _verdict(answer.status, said, members_of(sent.items))
    return {} if verdict is None else dict.fromkeys((item.id for item in sent.items), verdict)


def _verdict(status: int, said: _Answer, members: int) -> Verdict | None:
    error = said.error
    if error is None:
        verdict = judge(status)
        return verdict if verdict is not DELIVERED or said.num_received == members else None
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
