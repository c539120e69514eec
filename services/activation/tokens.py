"""The access tokens of all lanes of a worker: fetched once for the same credentials, kept until they expire.

Called by `sending` for connectors that ask for a grant. A token that a destination refuses is forgotten, so that the
lane's second try has another.
"""

import asyncio
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from services.connectors.oauth import granted
from services.domain.delivery.answers import retry_after_seconds
from services.runtime.clock import Clock
from services.runtime.failures import Unavailable
from services.runtime.secret import Secret
from services.runtime.web import Web, WebRequest

MARGIN_SECONDS: Final = 60.0  # a token is used no longer than this before its end: requests take time
UNSAID_SECONDS: Final = 300.0  # how long one is kept whose issuer does not say


@dataclass(frozen=True, slots=True)
class _Kept:
    secret: Secret
    until_seconds: float


class Tokens:
    """By who asks and with what: destinations that share credentials share a token, as limits on fetching want."""

    def __init__(self, web: Web, *, clock: Clock) -> None:
        self._web = web
        self._clock = clock
        self._kept: dict[bytes, _Kept] = {}
        self._fetching: defaultdict[bytes, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def token(self, grant: WebRequest) -> Secret:
        """A token that is good for now. Raises `Unavailable` and `Rejected`(delivery-authentication)."""
        key = hashlib.sha256(b"\0".join([grant.url.encode(), grant.body])).digest()
        async with self._fetching[key]:
            kept = self._kept.get(key)
            if kept is None or self._clock.monotonic_seconds() >= kept.until_seconds:
                kept = self._kept[key] = await self._fetch(grant)
            return kept.secret

    def forget(self, secret: Secret) -> None:
        """Whoever asks next gets another; one that has been fetched meanwhile stays."""
        self._kept = {key: kept for key, kept in self._kept.items() if kept.secret != secret}

    async def _fetch(self, grant: WebRequest) -> _Kept:
        asked_seconds = self._clock.monotonic_seconds()
        answer = await self._web.send(grant)
        try:
            token = granted(answer)
        except Unavailable as error:
            wait_seconds = retry_after_seconds(answer.headers.get("retry-after"), self._clock.now_ms())
            raise Unavailable(str(error), retry_after_seconds=wait_seconds) from None
        lives_seconds = UNSAID_SECONDS if token.lives_seconds is None else token.lives_seconds
        return _Kept(token.secret, asked_seconds + lives_seconds - MARGIN_SECONDS)
