"""Watch: object notifications in, announcements out; acknowledged only when what they mean is durable.

Two forms of one thing: a `Deliver` for topics, a loop for a queue. What a notification means is `announcing`'s.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from contracts.codes import Code
from contracts.records import Out, Record, TopicPartition
from services.intake.announcing import Announcer, Message
from services.intake.events import SERVICE
from services.intake.telemetry import QueueRetried
from services.runtime.backoff import SYSTEM_RANDOM, Backoff, Random
from services.runtime.clock import Clock
from services.runtime.dead_letters import dead_letter, dead_letter_of_message
from services.runtime.failures import Unavailable
from services.runtime.health import Health
from services.runtime.log import Producer
from services.runtime.objects import NotificationQueue, QueuedMessage
from services.runtime.waiting import unless

RECORDS_MAX: Final = 200  # notifications handled together: one wait for the catalogue, one write
_MESSAGES_MAX: Final = 10  # what SQS gives at once
_WAIT_SECONDS: Final = 20.0  # SQS's longest poll
_SILENT_SECONDS_MAX: Final = 300.0


class TopicWatch:
    """Implements `Deliver` over notification topics."""

    def __init__(self, announcer: Announcer, producer: Producer) -> None:
        self._announcer = announcer
        self._producer = producer

    async def assigned(self, partition: TopicPartition) -> None:
        """Nothing is kept from one record to the next."""

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:  # noqa: ARG002 - the port's
        """Returns when all announcements and dead letters are durable."""
        await self._producer.send(await self._announcer.outs([_of_record(record) for record in records]))

    async def revoked(self, partition: TopicPartition) -> None:
        """Nothing to give up."""


class QueueWatch:
    """The loop over one queue of notifications."""

    def __init__(
        self,
        queue: NotificationQueue,
        url: str,
        announcer: Announcer,
        producer: Producer,
        *,
        clock: Clock,
        health: Health,
        random: Random = SYSTEM_RANDOM,
    ) -> None:
        self._queue = queue
        self._url = url
        self._announcer = announcer
        self._producer = producer
        self._clock = clock
        self._health = health
        self._backoff = Backoff(base_seconds=0.2, cap_seconds=30.0, random=random)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set; messages under way are finished. Survives `Unavailable`: they come again."""
        with self._health.pulse(f"queue {self._url}", allowed_seconds=_SILENT_SECONDS_MAX) as pulse:
            while not stopping.is_set():
                try:
                    await self._turn(stopping)
                    self._backoff.reset()
                except Unavailable as error:
                    delay = self._backoff.next_seconds(error.retry_after_seconds)
                    QueueRetried(self._url, str(error), delay).emit()
                    await unless(stopping, self._clock.sleep(delay))
                pulse.beat()

    async def _turn(self, stopping: asyncio.Event) -> None:
        messages = await unless(stopping, self._queue.receive(messages_max=_MESSAGES_MAX, wait_seconds=_WAIT_SECONDS))
        if messages:
            now_ms = self._clock.now_ms()
            await self._producer.send(
                await self._announcer.outs([_of_queued(message, self._url, now_ms) for message in messages])
            )
            await self._queue.done([message.receipt for message in messages])


def _of_record(record: Record) -> Message:
    def letter(code: Code, detail: str) -> Out:
        return dead_letter(record, code, detail, service=SERVICE)

    return Message(record.value or b"", record.timestamp_ms, record.topic, letter)


def _of_queued(message: QueuedMessage, url: str, now_ms: int) -> Message:
    def letter(code: Code, detail: str) -> Out:
        return dead_letter_of_message(
            message.body,
            code,
            detail,
            source=url,
            message_id=message.message_id,
            service=SERVICE,
            attempts=max(1, message.receive_count),
        )

    return Message(message.body, now_ms, url, letter)
