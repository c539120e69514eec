"""Events for the topics of somebody else's Kafka: idempotent, acks=all, in whole batches."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from contracts import codes
from services.adapters.kafka import internals
from services.adapters.kafka.settings import KafkaSettings
from services.runtime.clock import Clock
from services.runtime.failures import Rejected, Unavailable
from services.runtime.outlets import EventsWrite

Check = Callable[[str], Awaitable[str]]
"""Of a host: raises `Rejected` where it may not be gone to, and `Unavailable`."""

_BATCH_BYTES: Final = 512 << 10  # below the usual limit of a topic, 1 MiB
_CREDENTIALS: Final = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)


class EventWriter:
    """One producer for one cluster; begins again after a failure. Calls for several lanes may overlap."""

    def __init__(self, settings: KafkaSettings, clock: Clock, check: Check) -> None:
        self._settings = settings
        self._clock = clock
        self._check = check
        self._refusal: Rejected | None = None  # of a broker that the others have told of
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def write(self, effect: EventsWrite) -> None:
        """Returns when all are stored. Raises `Unavailable` or `Rejected`; then nobody knows which are."""
        try:
            async with asyncio.timeout(self._settings.request_timeout_seconds):
                producer = await self._started()
                partitions = await producer.partitions_for(effect.topic)
                places = effect.hashes % len(partitions)
                await asyncio.gather(
                    *(self._store(producer, effect, int(place), places) for place in np.unique(places))
                )
        except BaseException as error:
            await self.close()  # what it still holds must not be written after the next attempt
            if isinstance(error, KafkaError | OSError | TimeoutError):
                raise (self._refusal or failure(error, effect.topic)) from error
            raise

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await internals.abandon(producer)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._settings.client(), acks="all", enable_idempotence=True, max_batch_size=_BATCH_BYTES
                )
                self._refusal = None
                internals.guard(producer, self._may_connect)
                try:
                    await producer.start()
                except BaseException:
                    await internals.abandon(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _may_connect(self, host: str) -> bool:
        try:
            await self._check(host)
        except Unavailable:
            return False
        except Rejected as refusal:
            self._refusal = refusal
            return False
        return True

    async def _store(
        self, producer: AIOKafkaProducer, effect: EventsWrite, place: int, places: "np.typing.NDArray[np.int64]"
    ) -> None:
        """The events of one partition, one batch after the other, so that their order stays."""
        now_ms = self._clock.now_ms()
        for builder in batches(producer.create_batch, effect, now_ms, np.flatnonzero(places == place).tolist()):
            await (await producer.send_batch(builder, effect.topic, partition=place))


def batches(
    make: Callable[[], BatchBuilder], effect: EventsWrite, now_ms: int, indices: list[int]
) -> Iterator[BatchBuilder]:
    """The events at these places among the effect's, in order, as whole batches."""
    headers = list(effect.headers)
    builder, held = make(), 0
    for index in indices:
        key, value = effect.keys[index], effect.values[index]
        if builder.append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
            yield builder
            builder, held = make(), 0
            builder.append(timestamp=now_ms, key=key, value=value, headers=headers)
        held += 1
    if held:
        yield builder


def failure(error: BaseException, topic: str) -> Rejected | Unavailable:
    """What went wrong with somebody's topic, and who must act."""
    known = error.__cause__ if type(error) is KafkaError and error.__cause__ is not None else error
    words = f"Kafka, {topic}: {type(known).__name__}"
    if isinstance(known, _CREDENTIALS):
        return Rejected(codes.DELIVERY_AUTHENTICATION, words)
    if isinstance(known, UnknownTopicOrPartitionError | InvalidTopicError):
        return Rejected(codes.DELIVERY_SETTINGS_INVALID, f"{words}: the topic does not exist")
    if isinstance(known, MessageSizeTooLargeError | RecordListTooLargeError):
        return Rejected(codes.DELIVERY_PERMANENT, words)
    return Unavailable(words)
