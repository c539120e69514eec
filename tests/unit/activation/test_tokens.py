"""Tokens: one for the same credentials however many lanes ask, and never one that was refused."""

import asyncio

import pytest

from services.activation.tokens import MARGIN_SECONDS, UNSAID_SECONDS, Tokens
from services.connectors.oauth import client_credentials
from services.runtime.failures import Rejected, Unavailable
from services.runtime.secret import Secret, SecretUnavailable
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import JumpingClock, ScriptedWeb, answer


def grant(client: str = "app") -> WebRequest:
    return client_credentials("https://api.example.com/oauth2/token", Secret(client), Secret("s&cret"))


class Issuer:
    """Numbers its tokens."""

    def __init__(self, said: str = ',"expires_in":900') -> None:
        self.clock = JumpingClock()
        self.web = ScriptedWeb(self.clock, otherwise=self._issue)
        self.tokens = Tokens(self.web, clock=self.clock)
        self.issued = 0
        self._said = said

    def _issue(self, request: WebRequest) -> WebAnswer:
        assert b"client_secret=s%26cret" in request.body
        self.issued += 1
        return answer(200, f'{{"access_token":"t{self.issued}"{self._said}}}'.encode())

    async def ask(self, client: str = "app") -> str:
        return (await self.tokens.token(grant(client))).reveal()


async def test_lanes_that_ask_at_once_share_one_and_other_credentials_have_their_own() -> None:
    issuer = Issuer()
    assert set(await asyncio.gather(*(issuer.ask() for _ in range(9)))) == {"t1"}
    assert await issuer.ask("other") == "t2"
    assert (await issuer.ask(), issuer.issued) == ("t1", 2)


@pytest.mark.parametrize(
    ("said", "lives_seconds"),
    [(',"expires_in":900', 900.0), (',"expires_in":"x"', None), ("", UNSAID_SECONDS), (',"expires_in":1', 0.0)],
)
async def test_a_token_is_used_until_a_minute_before_its_end(said: str, lives_seconds: float | None) -> None:
    issuer = Issuer(said)
    if lives_seconds is None:
        with pytest.raises(Unavailable):
            await issuer.ask()
        return
    assert await issuer.ask() == "t1"
    issuer.clock.seconds = max(0.0, lives_seconds - MARGIN_SECONDS - 1)
    assert await issuer.ask() == ("t1" if lives_seconds else "t2")
    issuer.clock.seconds += 1
    assert await issuer.ask() == ("t2" if lives_seconds else "t3")


async def test_who_is_refused_with_an_old_token_does_not_throw_away_the_new_one() -> None:
    issuer = Issuer()
    old = await issuer.tokens.token(grant())
    issuer.tokens.forget(old)
    assert await issuer.ask() == "t2"
    issuer.tokens.forget(old)
    assert await issuer.ask() == "t2"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'{"error":"invalid_client"}', Rejected),
        (401, b"", Rejected),
        (302, b"", Rejected),
        (429, b"", Unavailable),
        (503, b"", Unavailable),
        (200, b"", Unavailable),
        (200, b'{"access_token":"a b"}', SecretUnavailable),
        (200, b'{"access_token":"a\\r\\nx: y"}', SecretUnavailable),
    ],
)
async def test_no_token_is_an_error_that_holds_nothing_of_the_answer(
    status: int, body: bytes, expected: type[Exception]
) -> None:
    issuer = Issuer()
    issuer.web.script = [answer(status, body)]
    with pytest.raises(expected) as caught:
        await issuer.ask()
    assert "s&cret" not in str(caught.value)
    assert "invalid_client" not in str(caught.value)
    assert await issuer.ask() == "t1"
