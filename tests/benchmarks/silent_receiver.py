"""A webhook receiver that costs next to nothing: it answers 200 and remembers when each path first saw each member.

Within a benchmark, or as a process of its own: `python -m tests.benchmarks.silent_receiver PORT`.
"""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec

_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Entry(msgspec.Struct):
    members: list[str]


class _Message(msgspec.Struct):
    deliveries: list[_Entry]


_decode = msgspec.json.Decoder(_Message).decode


class Silent:
    """`seen` is by member and path; a request to one of the paths that are `dead` is never answered, or cut off."""

    def __init__(self, *, remembers: bool) -> None:
        self.url = ""
        self.dead: set[str] = set()
        self.seen: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._remembers = remembers
        self._news = asyncio.Event()
        self._ended = asyncio.Event()

    async def until(self, true: Callable[[], bool], within_seconds: float) -> None:
        """Returns when it is; raises `TimeoutError`."""
        async with asyncio.timeout(within_seconds):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await reader.readexactly(_length(head))
                path = head.split(b" ", 2)[1].decode()
                if path in self.dead:
                    if int(path[1:]) % 2:
                        await self._ended.wait()
                    break
                if self._remembers:
                    self._note(path, body)
                writer.write(_OK)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def end(self) -> None:
        """Whoever is never answered is cut off."""
        self._ended.set()

    def _note(self, path: str, body: bytes) -> None:
        now = time.monotonic()
        for entry in _decode(body).deliveries:
            for member in entry.members:
                self.seen[member].setdefault(path, now)
        self._news.set()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])


@asynccontextmanager
async def silent(port: int = 0, *, remembers: bool = True) -> AsyncIterator[Silent]:
    """Serves on loopback."""
    made = Silent(remembers=remembers)
    server = await asyncio.start_server(made.serve, "127.0.0.1", port, limit=1 << 20, backlog=4_096)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        made.end()
        server.close()


async def _main(port: int) -> None:
    async with silent(port, remembers=False):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
