"""Tokens by OAuth 2, by client credentials (RFC 6749 §4.4) or a refresh token (§6): the request, and its answer. Pure.

A connector returns the request from `grant`; the lanes send it, keep the token until it expires, and fetch another
when the destination refuses it.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from contracts import codes
from services.connectors.bodies import understood
from services.domain.delivery.answers import Fate, judge
from services.runtime.failures import Rejected, Unavailable
from services.runtime.secret import Secret, SecretUnavailable
from services.runtime.web import WebAnswer, WebRequest


@dataclass(frozen=True, slots=True)
class Token:
    """`lives_seconds` None: its issuer does not say."""

    secret: Secret
    lives_seconds: float | None


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float | None = None


_read = msgspec.json.Decoder(_Granted).decode


def client_credentials(url: str, client_id: Secret, client_secret: Secret) -> WebRequest:
    """The request for a token at `url`."""
    return _asked(url, client_id, client_secret, grant_type="client_credentials")


def refreshed(url: str, client_id: Secret, client_secret: Secret, refresh_token: Secret) -> WebRequest:
    """The request for a token at `url` by what somebody has consented to once."""
    return _asked(url, client_id, client_secret, grant_type="refresh_token", refresh_token=refresh_token.reveal())


def granted(answer: WebAnswer) -> Token:
    """The token; raises `Rejected`(delivery-authentication) where none is granted, `Unavailable` where not now.

    400 is how an authorization server refuses a client (`invalid_client`, RFC 6749 §5.2).
    """
    detail = f"asked for a token, the destination answered {answer.status}"
    match judge(answer.status).fate:
        case Fate.DELIVERED:
            said = understood(_read, answer.body)
            if said is None:
                raise Unavailable(f"{detail} without one")
            return Token(bearer(Secret(said.access_token)), said.expires_in)
        case Fate.UNAVAILABLE:
            raise Unavailable(detail)
        case _:
            raise Rejected(codes.DELIVERY_AUTHENTICATION, detail)


def bearer(secret: Secret) -> Secret:
    """The same, if it can stand in a header; else raises `SecretUnavailable`."""
    text = secret.reveal()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise SecretUnavailable("the token can't stand in a header")
    return secret


def bearing(token: Secret | None) -> dict[str, str]:
    """The headers of a call with the token of the moment, for an answer in JSON."""
    assert token is not None, "a connector with a grant gets a token"
    return {"accept": "application/json", "authorization": f"Bearer {token.reveal()}"}


def _asked(url: str, client_id: Secret, client_secret: Secret, **form: str) -> WebRequest:
    """The credentials go in the body: an address ends up in logs."""
    form |= {"client_id": client_id.reveal(), "client_secret": client_secret.reveal()}
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    return WebRequest(method="POST", url=url, headers=headers, body=urlencode(form).encode())
