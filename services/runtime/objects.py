"""The ports to object storage and to notification queues (S3 and SQS in `adapters`, plain dicts in tests)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from contracts.messages.intake import ObjectVersion


class Objects(Protocol):
    """Objects by exact version. Every method may raise `Unavailable`, or `Rejected`(object-access-denied)."""

    async def stat(
        self, bucket: str, key: str, *, version_id: str | None = None, etag: str | None = None
    ) -> ObjectVersion:
        """The version asked for, all fields filled in.

        Raises `Rejected`: object-gone where there is none, object-overwritten where the present eTag is another.
        """
        ...

    def read(self, version: ObjectVersion, *, chunk_bytes: int) -> AsyncIterator[bytes]:
        """The bytes of exactly this version, resumed by range with If-Match after a broken body.

        Raises `Rejected` as `stat` does. The count of bytes is checked against `size_bytes`.
        """
        ...

    async def write(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        """Puts a whole object."""
        ...

    def list_prefix(self, bucket: str, prefix: str) -> AsyncIterator[ObjectVersion]:
        """The present objects whose keys begin with `prefix`, by key, in bounded memory. Says no version ids.

        Raises `Rejected`(object-gone) where there is no such bucket.
        """
        ...

    async def close(self) -> None: ...


class OwnedObjects(Objects, Protocol):
    """Objects in a place of our own: they can be removed too."""

    async def remove(self, bucket: str, key: str) -> None:
        """There is no such object any more when this returns, whether or not there was one."""
        ...


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """One message of a notification queue. `done` takes the `receipt`; the `message_id` never changes."""

    body: bytes
    receipt: str
    receive_count: int
    message_id: str = ""


class NotificationQueue(Protocol):
    """A queue of notifications (SQS): at least once, in no order. May raise `Unavailable`."""

    async def receive(self, *, messages_max: int, wait_seconds: float) -> list[QueuedMessage]: ...

    async def done(self, receipts: Sequence[str]) -> None:
        """These have had their durable effect and may go."""
        ...

    async def close(self) -> None: ...
