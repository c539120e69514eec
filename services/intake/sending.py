"""Sends one batch while the next is made, and no more: order for each partition, memory and errors stay simple."""

import asyncio
from collections.abc import Sequence
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
