"""The life of a service process: settings, logs, the loop, stop signals, the drain and the exit code.

Each `services/X/__main__.py` calls `run_service("X", main)`; `main` (in `app.py`) builds the adapters and awaits its
loops until `stopping` is set. Exit codes: 0 stopped as asked, 1 `Fatal` or a bug, 2 wrong settings.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.runtime.health import Health
from services.runtime.settings import Settings

DRAIN_SECONDS: Final = 20.0  # below the 30 s that Kubernetes grants by default, with room for closing connections

Main = Callable[[Settings, Health, asyncio.Event], Awaitable[None]]


def run_service(name: str, main: Main, *, requires: Sequence[str] = ()) -> int:
    """Runs `main` until it returns or a stop signal has drained it; returns the exit code.

    `requires` names the optional fields of `Settings` that this service can't do without. The first SIGTERM or SIGINT
    sets `stopping`: the loops finish what is under way and return; what has not ended after `DRAIN_SECONDS` is
    cancelled. A second signal exits at once.
    """
    raise NotImplementedError
