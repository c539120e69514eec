"""One attempt at a webhook: the headers of Standard Webhooks 1.0, and what its answer means for the items."""

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping
from typing import Final

from services.connectors.base import Request, Target
from services.domain.delivery.answers import Verdict, judge
from services.runtime.secret import Secret, SecretUnavailable
from services.runtime.web import WebAnswer, WebRequest

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the standard's mark of a secret, not one
_KEY_BYTES_MIN: Final = 24
_KEY_BYTES_MAX: Final = 64


def signed(request: Request, target: Target) -> WebRequest:
    """The request with its id (the same on every attempt), the time, and a signature for each secret.

    Without secrets there is no signature header. Raises `SecretUnavailable` for what is not a signing secret.
    """
    timestamp = str(target.now_ms // 1000)
    headers = {
        "content-type": "application/json",
        "user-agent": "usher",
        "webhook-id": request.id,
        "webhook-timestamp": timestamp,
    }
    signatures = [
        signature(key, request.id, timestamp, request.body)
        for name in sorted(target.secrets)
        for key in _keys(name, target.secrets[name])
    ]
    if signatures:
        headers["webhook-signature"] = " ".join(signatures)
    url, timeout_seconds = target.settings["url"], target.settings["timeout_seconds"]
    assert isinstance(url, str)
    assert isinstance(timeout_seconds, int | float)
    return WebRequest(
        method="POST", url=url, headers=headers, body=request.body, timeout_seconds=float(timeout_seconds)
    )


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def outcomes(request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
    """The status is the word on every item; the body is not read, since the standard gives it no meaning."""
    return dict.fromkeys((item.id for item in request.items), judge(answer.status))


def _keys(name: str, secret: Secret) -> Iterator[bytes]:
    """The keys in a secret's value: one, or several with space between them."""
    texts = secret.reveal().split()
    if not texts:
        raise SecretUnavailable(f"the secret {name!r} is empty")
    for text in texts:
        encoded = text.removeprefix(SECRET_PREFIX)
        try:
            # The padding may be missing, as the standard's own libraries allow.
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not text.startswith(SECRET_PREFIX) or not _KEY_BYTES_MIN <= len(key) <= _KEY_BYTES_MAX:
            raise SecretUnavailable(
                f"the secret {name!r} is not {SECRET_PREFIX} and base64 of 24 to 64 bytes"
            ) from None
        yield key
