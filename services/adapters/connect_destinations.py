"""Makes the adapters that reach destinations from `Settings`, as `connect` makes the others. Called by activation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.adapters.http import HttpWeb
from services.adapters.outlets import OpenOutlets
from services.runtime.clock import SystemClock
from services.runtime.outlets import Outlets
from services.runtime.settings import Settings
from services.runtime.web import Web


@asynccontextmanager
async def open_web(settings: Settings) -> AsyncIterator[Web]:
    """The web, for connectors."""
    web = HttpWeb(allow_private=settings.allow_private_destinations)
    try:
        yield web
    finally:
        await web.close()


@asynccontextmanager
async def open_outlets(settings: Settings) -> AsyncIterator[Outlets]:
    """The ways that aren't the web, for connectors."""
    outlets = OpenOutlets(clock=SystemClock(), allow_private=settings.allow_private_destinations)
    try:
        yield outlets
    finally:
        await outlets.close()
