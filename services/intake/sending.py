"""One thing ahead and no more, at both ends of a reading: fetched while the one before is read, sent while the next is.

Order, memory and errors stay simple that way, and whoever is slowest holds up the others.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from contracts.records import Out
from services.runtime.log import Producer


class Ahead:
    """At most one `send` of the producer under way; leaving the `async with` block waits for it.

    What it raises is raised by the next call. Left by an exception, it is cancelled.
    """

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._under_way: asyncio.Task[None] | None = None

    async def send(self, outs: Sequence[Out]) -> None:
        """Returns when the batch before is durable and this one is on its way."""
        await self._settle()
        if outs:
            self._under_way = asyncio.create_task(self._producer.send(outs))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self._settle()
        elif self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)

    async def _settle(self) -> None:
        if self._under_way is not None:
            task, self._under_way = self._under_way, None
            await task


async def one_ahead(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same chunks, each asked for while the one before is in use; closes `chunks` at the end."""
    async with aclosing(chunks):
        coming = asyncio.ensure_future(anext(chunks, None))
        try:
            while (chunk := await coming) is not None:
                coming = asyncio.ensure_future(anext(chunks, None))
                yield chunk
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
