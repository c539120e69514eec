"""Small calls of a producer that come while one is under way go together in the next. Used by `producers`.

Each alone would be a request of its own, and one after the other: sixteen objects of one row that are read at once
would pay forty-eight times for what three requests can hold.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from contracts.records import Out
from services.adapters.kafka import internals
from services.runtime.failures import Rejected, Unavailable

if TYPE_CHECKING:
    from services.adapters.kafka.producers import Writer

_SMALL_BYTES_MAX: Final = 64 << 10  # of a call that waits for the one under way


@dataclass(slots=True)
class _Line:
    """Small calls for one set of topics: those that wait, and the write that they will go with."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[Out] = field(default_factory=list)
    flush: asyncio.Task[None] | None = None


class Together:
    """Over one writer. A call waits only behind others for the same topics: what is stuck holds up no other."""

    def __init__(self, writer: "Writer") -> None:
        self._writer = writer
        self._lines: dict[frozenset[str], _Line] = {}

    async def store(self, outs: Sequence[Out]) -> None:
        """Returns when all are stored; raises as `Writer.pack` and `Writer.write` do.

        What fails one of those that went together fails all, since nobody knows what is stored. A call that is
        refused or cancelled harms no other.
        """
        batches = await self._writer.pack(outs)
        if sum(batch.bytes for several in batches.values() for batch in several) > _SMALL_BYTES_MAX:
            await self._writer.write(batches)
            return
        line = self._lines.setdefault(frozenset(partition.topic for partition in batches), _Line())
        line.waiting += outs
        if line.flush is None:
            line.flush = asyncio.create_task(self._flushed(line))
            line.flush.add_done_callback(internals.hear)
        await asyncio.shield(line.flush)

    async def _flushed(self, line: _Line) -> None:
        async with line.turn:
            outs, line.waiting, line.flush = line.waiting, [], None
            try:
                batches = await self._writer.pack(outs)
            except Rejected as late:  # each had passed by itself: the next attempt will tell whose it is
                raise Unavailable(str(late)) from late
            await self._writer.write(batches)
