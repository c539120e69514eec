"""How what lanes, verifier and receipts say gets into the log: together, and for as long as it takes.

What is said is made by `lane_reports`.
"""

from collections.abc import Iterable, Sequence

from contracts.records import Out
from services.activation.lane_events import OutcomesRetried
from services.runtime.backoff import Backoff, Random
from services.runtime.clock import Clock
from services.runtime.failures import Unavailable
from services.runtime.log import Producer
from services.runtime.together import Together


class Reports:
    """Of all lanes of a worker: what comes while one write is under way goes out together in the next."""

    def __init__(self, producer: Producer, *, clock: Clock, random: Random) -> None:
        self._producer = producer
        self._clock = clock
        self._random = random
        self._writing = Together(self._write)

    async def write(self, outs: Iterable[Out]) -> None:
        """Writes all, trying again by itself: giving up would deliver the batch once more, only to write this."""
        some = list(outs)
        if some:
            await self._writing.ask(some)

    async def _write(self, outs: Sequence[Out]) -> None:
        backoff = Backoff(base_seconds=0.1, cap_seconds=10.0, random=self._random)
        while True:
            try:
                return await self._producer.send(outs)
            except Unavailable as error:
                delay_seconds = backoff.next_seconds(error.retry_after_seconds)
                OutcomesRetried(detail=str(error), delay_seconds=delay_seconds).emit()
                await self._clock.sleep(delay_seconds)
