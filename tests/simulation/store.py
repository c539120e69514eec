"""The object store and the queue of its notifications: slow, at times down, repeating itself and in no order."""

from collections.abc import AsyncIterator, Sequence
from random import Random

from contracts.messages.intake import ObjectVersion
from services.adapters.memory_objects import MemoryObjects
from services.runtime.clock import Clock
from services.runtime.failures import Unavailable
from services.runtime.objects import QueuedMessage
from tests.simulation.loop import is_dead

PIECE_BYTES = 64  # an object comes in pieces, so that it can change between two of them
VISIBILITY_SECONDS = 8.0


class Store:
    """Implements `OwnedObjects` over `MemoryObjects`, whose `put` is what the outside does. `share` of calls fail."""

    def __init__(self, random: Random, clock: Clock) -> None:
        self.outside = MemoryObjects(clock=clock)
        self.share = 0.0
        self._random = random
        self._clock = clock

    async def stat(
        self, bucket: str, key: str, *, version_id: str | None = None, etag: str | None = None
    ) -> ObjectVersion:
        await self._turn()
        return await self.outside.stat(bucket, key, version_id=version_id, etag=etag)

    async def read(self, version: ObjectVersion, *, chunk_bytes: int) -> AsyncIterator[bytes]:
        position = 0
        while True:
            await self._turn()
            body = b"".join([part async for part in self.outside.read(version, chunk_bytes=chunk_bytes)])
            if position >= len(body):
                return
            yield body[position : position + PIECE_BYTES]
            position += PIECE_BYTES

    async def write(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        await self._turn()
        await self.outside.write(bucket, key, body, content_type=content_type)

    async def list_prefix(self, bucket: str, prefix: str) -> AsyncIterator[ObjectVersion]:
        await self._turn()
        async for version in self.outside.list_prefix(bucket, prefix):
            yield version

    async def remove(self, bucket: str, key: str) -> None:
        await self._turn()
        await self.outside.remove(bucket, key)

    async def close(self) -> None:
        """Nothing is held."""

    async def _turn(self) -> None:
        await self._clock.sleep(self._random.uniform(0, 0.1))
        if is_dead() or self._random.random() < self.share:
            raise Unavailable("the object store does not answer")


class Queue:
    """Implements `NotificationQueue`: what is not done in time comes again, and at times what is done, too."""

    def __init__(self, random: Random, clock: Clock) -> None:
        self.share = 0.0  # of calls that fail, and of what comes again although it was done
        self._random = random
        self._clock = clock
        self._visible_at: dict[str, float] = {}  # by receipt, when it can be received next
        self._messages: dict[str, QueuedMessage] = {}
        self._number = 0

    def put(self, body: bytes) -> None:
        """A notification arrives."""
        self._number += 1
        receipt = f"r{self._number}"
        self._messages[receipt] = QueuedMessage(body, receipt, 0, message_id=f"m{self._number}")
        self._visible_at[receipt] = 0.0

    @property
    def undone(self) -> int:
        return len(self._messages)

    async def receive(self, *, messages_max: int, wait_seconds: float) -> list[QueuedMessage]:
        await self._turn()
        deadline = self._clock.monotonic_seconds() + wait_seconds
        while not (found := self._take(messages_max)) and self._clock.monotonic_seconds() < deadline:
            await self._clock.sleep(0.5)
            self._check_alive()
        return found

    async def done(self, receipts: Sequence[str]) -> None:
        await self._turn()
        for receipt in receipts:
            if receipt in self._messages and self._random.random() >= self.share:
                del self._messages[receipt], self._visible_at[receipt]

    async def close(self) -> None:
        """Nothing is held."""

    def _take(self, messages_max: int) -> list[QueuedMessage]:
        now = self._clock.monotonic_seconds()
        visible = [receipt for receipt, at in self._visible_at.items() if at <= now]
        self._random.shuffle(visible)
        found = []
        for receipt in visible[: self._random.randint(1, messages_max)]:
            self._visible_at[receipt] = now + VISIBILITY_SECONDS
            message = self._messages[receipt]
            self._messages[receipt] = QueuedMessage(
                message.body, receipt, message.receive_count + 1, message.message_id
            )
            found.append(self._messages[receipt])
        return found

    async def _turn(self) -> None:
        await self._clock.sleep(self._random.uniform(0, 0.1))
        self._check_alive()
        if self._random.random() < self.share:
            raise Unavailable("the queue does not answer")

    def _check_alive(self) -> None:
        if is_dead():
            raise Unavailable("whoever asks was killed")
