"""A whole system on this machine, for the demo and the benchmarks: stack, topics, the four services, a receiver.

Everything that was started ends when the context is left, whatever happened within.
"""

import asyncio
import base64
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp

from services.adapters.connect import open_kafka, open_objects
from services.runtime.environment import load_settings
from services.runtime.log import Log
from services.runtime.objects import Objects
from services.tools.children import Children
from services.tools.failed import CallFailed
from services.tools.local_stack import local_module, say, stack_errors
from services.tools.playing import DeliverTo
from services.tools.topics import SERVICES, ensure_topics
from services.tools.topics_command import specs_of

READY_SECONDS: Final = 60.0
SIGNING_VARIABLE: Final = "USHER_SECRET_DEMO"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LocalSystem:
    """What runs: `pids` of the services and the receiver by name."""

    log: Log
    objects: Objects
    bucket: str
    receiver: str
    children: Children
    pids: dict[str, int]

    @property
    def deliver_to(self) -> DeliverTo:
        return DeliverTo(f"{self.receiver}/hook", f"env:{SIGNING_VARIABLE}")

    async def received(self) -> dict[str, Any]:
        """The state of the receiver."""
        async with aiohttp.ClientSession() as web, web.get(f"{self.receiver}/state") as answer:
            state: dict[str, Any] = await answer.json()
            return state

    async def unless_a_child_dies(self, work: "asyncio.Future[T]") -> T:
        """The result of `work`; raises `ChildDied` as soon as a service has ended."""
        return await _unless_a_child_dies(self.children, work)


@asynccontextmanager
async def local_system(root: Path) -> AsyncIterator[LocalSystem]:
    """A system with its data under `root`, fresh. Changes the working directory to `root`: settings are found there."""
    async with AsyncExitStack() as opened:
        _end_in_order_on_sigterm()
        await _bring_up(opened, root)
        os.chdir(root)
        settings = load_settings()
        log = await opened.enter_async_context(open_kafka(settings, client_id="usher-local"))
        objects = await opened.enter_async_context(open_objects(settings))
        await ensure_topics(log, specs_of(settings))
        children = await opened.enter_async_context(Children(root / ".usher" / "logs"))
        receiver, pids = await _start_children(children)
        yield LocalSystem(log, objects, str(settings.s3_bucket), receiver, children, pids)


def _end_in_order_on_sigterm() -> None:
    """As on Ctrl-C: else everything that was started would stay, with its ports and its memory."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _bring_up(opened: AsyncExitStack, root: Path) -> None:
    local = local_module("stack")
    opened.push_async_callback(asyncio.to_thread, lambda: local.down(root, say, keep_objects=False))
    with stack_errors():
        await asyncio.to_thread(lambda: local.up(root, fresh=True, say=say))


async def _start_children(children: Children) -> tuple[str, dict[str, int]]:
    """Starts the receiver and the four services; returns its address and all pids when all are ready."""
    free_port = local_module("processes").free_port
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    shared = {"USHER_ALLOW_PRIVATE_DESTINATIONS": "true", SIGNING_VARIABLE: secret}
    port = free_port()
    arguments = ["--port", str(port), "--secret", f"env:{SIGNING_VARIABLE}"]
    pids = {"receiver": await children.start("receiver", "services.tools.receiver", arguments, shared)}
    awaited = [_answers(port, "/state")]
    for service in SERVICES:
        http = free_port()
        environment = {**shared, "USHER_HTTP_PORT": str(http)}
        pids[service] = await children.start(service, f"services.{service}", [], environment)
        awaited.append(_answers(http, "/readyz"))
    say(f"waiting for the receiver and {', '.join(SERVICES)}")
    await _unless_a_child_dies(children, asyncio.gather(*awaited))
    return f"http://127.0.0.1:{port}", pids


async def _unless_a_child_dies(children: Children, work: "asyncio.Future[T]") -> T:
    watching: asyncio.Future[Any] = asyncio.ensure_future(children.watch())
    try:
        await asyncio.wait([watching, work], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await watching
        return await work
    finally:
        watching.cancel()
        work.cancel()
        await asyncio.gather(watching, work, return_exceptions=True)


async def _answers(port: int, path: str) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as web:
            while not await _ok(web, f"http://127.0.0.1:{port}{path}"):  # noqa: ASYNC110 - a process sets no event
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise CallFailed(f"port {port}{path} was not ready within {READY_SECONDS:.0f} s") from None


async def _ok(web: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with web.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
