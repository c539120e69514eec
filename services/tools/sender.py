"""Who sends the commands of a call of `usher`: by which topic, and whose signature is on them (decision 0023)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from contracts.catalog import COMMANDS, REPLIES
from services.client import Client, Signer, opened
from services.runtime.log import Log
from services.tools.failed import CallFailed
from services.tools.session import session


@dataclass(frozen=True, slots=True)
class Sender:
    """Options of each call that sends commands; without any it sends as whoever may write to the topic of commands."""

    topic: Annotated[str, Parameter(help="the topic of commands that you may write to")] = COMMANDS
    replies: Annotated[str, Parameter(help="the topic where commands by that one are answered")] = REPLIES
    principal: Annotated[str | None, Parameter(help="sign as this principal of the space; with `--key`")] = None
    key: Annotated[Path | None, Parameter(help="the file with the principal's private key (Ed25519, PEM)")] = None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[tuple[Log, Client]]:
        """The log that settings point at, and a client that sends as this; raises `CallFailed` before it connects."""
        signer = self.signer()
        async with (
            session() as (_, log),
            opened(log, source="/usher/cli", topic=self.topic, replies=self.replies, signer=signer) as client,
        ):
            yield log, client

    def signer(self) -> Signer | None:
        """What signs, if anything does; raises `CallFailed` where the key can't be had."""
        if (self.principal is None) != (self.key is None):
            raise CallFailed("--principal and --key go together")
        if self.principal is None or self.key is None:
            return None
        try:
            return Signer.from_file(self.principal, self.key)
        except (OSError, ValueError) as error:
            raise CallFailed(f"the key of {self.principal}: {error}") from None
