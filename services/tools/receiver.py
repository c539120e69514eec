"""A webhook receiver for the demo, the tests and the benchmarks: `python -m services.tools.receiver --port 8080`.

`POST /hook` takes webhooks, `GET /state` says what was received (`?members=1` names the members), and `POST /behave`
tells it to misbehave: the next answers, or all from now on. It keeps everything in memory.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import cyclopts
import msgspec
from aiohttp import web

from services.runtime.clock import Clock, SystemClock
from services.tools.received import Received, Refused

BODY_BYTES_MAX: Final = 64 << 20


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to answer `times` requests (None: until told otherwise). The default is to be good.

    `applied`: the request takes effect before the answer goes wrong; `partly`: half of its deliveries do. `cut`: the
    connection ends without an answer. `garbage`: what comes back is not HTTP.
    """

    status: int = 200
    headers: dict[str, str] = {}
    body: str = ""
    delay_seconds: float = 0.0
    applied: bool = False
    partly: bool = False
    cut: bool = False
    garbage: bool = False
    times: int | None = 1

    def is_good(self) -> bool:
        return 200 <= self.status <= 299 and not self.cut and not self.garbage


class Receiver:
    """What was received, and how the next requests will be answered."""

    def __init__(
        self, *, secrets: Sequence[str] = (), behaviours: Sequence[Behaviour] = (), clock: Clock | None = None
    ) -> None:
        self.received = Received(secrets)
        self.misbehaved = 0
        self._clock = clock or SystemClock()
        self._behaviours = deque(behaviours)

    def behave(self, behaviours: Sequence[Behaviour]) -> None:
        """Forgets what it was told before; [] makes it good again."""
        self._behaviours = deque(behaviours)

    def state(self, *, members: bool = False) -> dict[str, object]:
        """Counters, and the activations with their sizes or their members."""
        sizes = self.received.sizes()
        activations = {name: self.received.members(name) for name in sizes} if members else sizes
        return {**self.received.counters, "misbehaved": self.misbehaved, "activations": activations}

    def app(self) -> web.Application:
        """The HTTP side of it."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/hook", self._hook)
        app.router.add_get("/state", self._state)
        app.router.add_post("/behave", self._behave)
        return app

    async def _hook(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        now = self._next_behaviour()
        if now.delay_seconds:
            await self._clock.sleep(now.delay_seconds)
        if now.is_good() or now.applied or now.partly:
            try:
                headers = {name.lower(): value for name, value in request.headers.items()}
                self.received.take(headers, body, self._clock.now_ms() / 1000, half=now.partly)
            except Refused as error:
                return web.Response(status=error.status, text=str(error))
        if now.cut or now.garbage:
            _end(request, b"garbage\r\n\r\n" if now.garbage else b"")
        return web.Response(status=now.status, headers=now.headers, text=now.body)

    def _next_behaviour(self) -> Behaviour:
        if not self._behaviours:
            return Behaviour()
        now = self._behaviours.popleft()
        if now.times is None:
            self._behaviours.appendleft(now)
        elif now.times > 1:
            self._behaviours.appendleft(msgspec.structs.replace(now, times=now.times - 1))
        self.misbehaved += not now.is_good()
        return now

    async def _state(self, request: web.Request) -> web.Response:
        return _json(self.state(members=request.query.get("members") == "1"))

    async def _behave(self, request: web.Request) -> web.Response:
        """A behaviour or a list of them."""
        try:
            told = msgspec.json.decode(await request.read(), type=Behaviour | list[Behaviour])
        except msgspec.MsgspecError as error:
            return web.Response(status=400, text=str(error))
        self.behave(told if isinstance(told, list) else [told])
        return _json({})


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _end(request: web.Request, last_words: bytes) -> None:
    transport = request.transport
    if transport is not None:
        transport.write(last_words)
        transport.close()


@asynccontextmanager
async def serving(receiver: Receiver, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serves within this process; the value is the base URL. Port 0 takes a free one."""
    async with served(receiver.app(), host=host, port=port) as url:
        yield url


@asynccontextmanager
async def served(app: web.Application, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """As `serving`, for any application."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def secret_value(reference: str, environment: Mapping[str, str]) -> str:
    """The value of `env:NAME` or `file:/path`; anything else is the value itself."""
    scheme, _, rest = reference.partition(":")
    if scheme == "env":
        return environment[rest]
    return Path(rest).read_text(encoding="utf-8").strip() if scheme == "file" else reference


async def _run(receiver: Receiver, host: str, port: int) -> None:
    async with serving(receiver, host=host, port=port) as url:
        print(url, flush=True)
        await asyncio.Event().wait()


def main(
    *, host: str = "127.0.0.1", port: int = 0, secret: Annotated[tuple[str, ...], cyclopts.Parameter()] = ()
) -> None:
    """Receives webhooks until it is stopped; prints its base URL.

    Parameters
    ----------
    host
        The address to listen on.
    port
        The port to listen on; 0 takes a free one.
    secret
        `env:NAME`, `file:/path` or a whsec_ secret; repeat it for several. Without one no signature is asked for.

    """
    receiver = Receiver(secrets=[secret_value(one, os.environ) for one in secret])
    try:
        asyncio.run(_run(receiver, host, port))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    cyclopts.run(main)
