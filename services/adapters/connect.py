"""Makes the adapters from `Settings`, so that every `app.py` opens the outside world in the same way.

Each is an async context manager: `async with open_kafka(settings) as log:`.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from services.runtime.health import Health
from services.runtime.log import Log
from services.runtime.objects import NotificationQueue, Objects
from services.runtime.settings import Settings
from services.runtime.web import Web


def open_kafka(settings: Settings, *, client_id: str) -> AbstractAsyncContextManager[Log]:
    """The log; connects when it is first used."""
    raise NotImplementedError


def open_objects(settings: Settings) -> AbstractAsyncContextManager[Objects]:
    """Object storage."""
    raise NotImplementedError


def open_queue(settings: Settings, url: str) -> AbstractAsyncContextManager[NotificationQueue]:
    """One queue of notifications."""
    raise NotImplementedError


def open_web(settings: Settings) -> AbstractAsyncContextManager[Web]:
    """The web, for connectors."""
    raise NotImplementedError


@asynccontextmanager
async def open_http(settings: Settings, health: Health) -> AsyncIterator[int]:
    """Serves `/livez`, `/readyz` and `/metrics`; the value is the port."""
    raise NotImplementedError
    yield 0
