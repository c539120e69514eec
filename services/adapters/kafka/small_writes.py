"""Small calls of a producer that come while one is under way go together in the next. Used by `producers`.

Each alone would be a request of its own, and one after the other: sixteen objects of one row that are read at once
would pay forty-eight times for what three requests can hold.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from contracts.records import Out
from services.adapters.kafka import internals
from services.runtime.failures import Rejected, Unavailable
from services.runtime.together import Together

if TYPE_CHECKING:
    from services.adapters.kafka.producers import Writer

_SMALL_BYTES_MAX: Final = 64 << 10  # of a call that waits for the one under way


class SmallWrites:
    """Over one writer. A call waits only behind others for the same topics: what is stuck holds up no other."""

    def __init__(self, writer: "Writer") -> None:
        self._writer = writer
        self._lines: dict[frozenset[str], Together[Out, None]] = {}

    async def store(self, outs: Sequence[Out]) -> None:
        """Returns when all are stored; raises as `Writer.pack` and `Writer.write` do.

        What fails one of those that went together fails all, since nobody knows what is stored. A call that is
        refused or cancelled harms no other.
        """
        batches = await self._writer.pack(outs)
        if sum(batch.bytes for several in batches.values() for batch in several) > _SMALL_BYTES_MAX:
            await self._writer.write(batches)
            return
        topics = frozenset(partition.topic for partition in batches)
        line = self._lines.setdefault(topics, Together(self._write))
        # In a task of its own, which nobody cancels: a write that is cut off would be made anew for the others.
        asking = asyncio.create_task(line.ask(outs))
        asking.add_done_callback(internals.hear)
        await asyncio.shield(asking)

    async def _write(self, outs: Sequence[Out]) -> None:
        try:
            batches = await self._writer.pack(outs)
        except Rejected as late:  # each had passed by itself: the next attempt will tell whose it is
            raise Unavailable(str(late)) from late
        await self._writer.write(batches)
