"""The way in for a program of a user's: settings from the environment, an open log, a client that closes both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts import catalog
from services.adapters.connect import open_kafka
from services.client.client import Client, opened
from services.client.signing import Signer
from services.runtime.environment import load_settings


@asynccontextmanager
async def connect(
    *,
    source: str,
    topic: str = catalog.COMMANDS,
    replies: str = catalog.REPLIES,
    signer: Signer | None = None,
) -> AsyncIterator[Client]:
    """A client of the usher that `USHER_*` points at, or of the local stack; raises `SettingsError`, `Unavailable`.

    `source` names the program: the `ce_source` of its commands, within which their ids are unique. `topic` and
    `signer` say who sends, `replies` where commands by that topic are answered (decisions 0023, 0031).
    """
    async with (
        open_kafka(load_settings(), client_id="client") as log,
        opened(log, source=source, topic=topic, replies=replies, signer=signer) as client,
    ):
        yield client
