"""The life of a service process: settings, logs, the loop, stop signals, the drain and the exit code.

Each `services/X/__main__.py` calls `run_service("X", main)`; `main` (in `app.py`) builds the adapters and awaits its
loops until `stopping` is set. Exit codes: 0 stopped as asked, 1 `Fatal` or a bug, 2 wrong settings.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
import uvloop

from services.runtime.allocator import keep_freed_buffers
from services.runtime.clock import SystemClock
from services.runtime.environment import load_settings, unknown_variables
from services.runtime.failures import Fatal
from services.runtime.health import Health
from services.runtime.logs import configure_logs
from services.runtime.settings import Settings, SettingsError
from services.runtime.telemetry import Event

DRAIN_SECONDS: Final = 20.0  # below the 30 s that Kubernetes grants by default, with room for closing connections
_CANCEL_SECONDS: Final = 5.0  # for `finally` blocks: aborting a transaction, leaving a group
_TURN_SECONDS: Final = 1.0

Main = Callable[[Settings, Health, asyncio.Event], Awaitable[None]]


@dataclass(frozen=True)
class ServiceStarted(Event, counter="usher_service_started_total"):
    """The process has read its settings and begins; shown are those that differ from the defaults."""

    settings: dict[str, object]


@dataclass(frozen=True)
class VariableUnknown(Event, counter="usher_variables_unknown_total", level="warning"):
    """An environment variable begins with USHER_ and is none of ours: misspelt, or of another version."""

    name: str


@dataclass(frozen=True)
class StopAsked(Event, counter="usher_stops_asked_total"):
    """A stop signal came; the loops finish what is under way."""

    drain_seconds: float


@dataclass(frozen=True)
class DrainLate(Event, counter="usher_drains_late_total", level="error"):
    """What was under way did not end within the drain's deadline and was cancelled; its records come again."""

    drain_seconds: float


@dataclass(frozen=True)
class ServiceFailed(Event, counter="usher_service_failed_total", level="error"):
    """The process can't go on rightly; the operator must act as the reason says."""

    reason: str


@dataclass(frozen=True)
class ServiceStopped(Event, counter="usher_service_stopped_total"):
    """The last line of a process."""

    exit_code: int


def run_service(name: str, main: Main, *, requires: Sequence[str] = ()) -> int:
    """Runs `main` until it returns or a stop signal has drained it; returns the exit code, or exits with it.

    `requires` names the optional fields of `Settings` that this service can't do without. The first SIGTERM or SIGINT
    sets `stopping`: the loops finish what is under way and return; what has not ended after `DRAIN_SECONDS` is
    cancelled. A second signal exits at once.
    """
    try:
        settings = load_settings().require(*requires)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logs(name, settings.log_level)
    calm_collector()
    keep_freed_buffers()
    ServiceStarted(settings=settings.model_dump(mode="json", exclude_defaults=True)).emit()
    for variable in unknown_variables(settings):
        VariableUnknown(name=variable).emit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        exit_code = runner.run(_live(main, settings))
        ServiceStopped(exit_code=exit_code).emit()
        if exit_code != 0:
            _leave(exit_code)  # closing the loop would wait for threads, and one of them may fold for minutes
    return exit_code


async def _live(main: Main, settings: Settings) -> int:
    clock = SystemClock()
    health = Health(clock)
    stopping = asyncio.Event()
    _heed_signals(stopping, health)
    turning = asyncio.create_task(_turn(health, clock))
    work = asyncio.ensure_future(main(settings, health, stopping))
    asked = asyncio.create_task(stopping.wait())
    await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
    in_time = await _drained(work)
    for task in (turning, asked):
        task.cancel()
    return _exit_code(work) if in_time else 1


async def _drained(work: "asyncio.Future[None]") -> bool:
    await asyncio.wait({work}, timeout=DRAIN_SECONDS)
    if work.done():
        return True
    DrainLate(drain_seconds=DRAIN_SECONDS).emit()
    work.cancel()
    await asyncio.wait({work}, timeout=_CANCEL_SECONDS)
    return False


def _exit_code(work: "asyncio.Future[None]") -> int:
    error = asyncio.CancelledError("cancelled by itself") if work.cancelled() else work.exception()
    if error is None:
        return 0
    for leaf in leaves(error):
        if isinstance(leaf, Fatal) and leaf.__cause__ is None:
            ServiceFailed(reason=str(leaf)).emit()
        elif not isinstance(leaf, asyncio.CancelledError):
            ServiceFailed(reason=f"{type(leaf).__name__}: {leaf}").emit()
            structlog.get_logger().error("traceback", exc_info=leaf)
    return 1


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a tree of exception groups."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    else:
        yield error


async def _turn(health: Health, clock: SystemClock) -> None:
    while True:
        health.turned()
        await clock.sleep(_TURN_SECONDS)


def calm_collector() -> None:
    """Records are many, short-lived and in no cycles: at its defaults the collector takes half the time of a read.

    What control writes of a command of 10,000 items is some 300,000 tuples, gone with its transaction.
    """
    gc.freeze()
    gc.set_threshold(400_000, 20, 50)


def _heed_signals(stopping: asyncio.Event, health: Health) -> None:
    def heed(number: int) -> None:
        if stopping.is_set():
            _leave(128 + number)
        StopAsked(drain_seconds=DRAIN_SECONDS).emit()
        health.stop()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heed, number)


def _leave(exit_code: int) -> None:
    """Ends the process without waiting for anything; what was not committed comes again."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(exit_code)
