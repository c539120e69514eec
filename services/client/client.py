"""Commands and their replies, typed, for whoever writes to usher in Python.

One `Client` may be used by many tasks at once: whoever waits for a reply reads the topic for all that wait.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from contracts import catalog, codec
from contracts.instants import instant_text
from contracts.messages.fields import Item
from contracts.messages.published import Reply
from contracts.records import Out, Record
from services.client.changes import MemberChange, Position, member_changes
from services.client.follower import Follower
from services.client.signing import Signer
from services.runtime.log import Log, Producer

REPLY_SECONDS = 30.0


class NoReply(TimeoutError):  # noqa: N818 - says what came of it
    """The command is in the log and may yet take effect: send it again under the same id, which takes effect once."""


class Client:
    """Publishes commands and awaits their replies."""

    def __init__(self, log: Log, producer: Producer, source: str, topic: str, signer: Signer | None) -> None:
        self._log = log
        self._producer = producer
        self._source = source
        self._topic = topic
        self._signer = signer
        self._replies: dict[str, Reply | None] = {}
        self._follower: Follower
        self._reading = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        log: Log,
        *,
        source: str = "/usher/client",
        topic: str = catalog.COMMANDS,
        replies: str = catalog.REPLIES,
        signer: Signer | None = None,
    ) -> "Client":
        """`source` is the `ce_source` of every command: with a command's id it makes repeats harmless.

        `topic` is the one that the sender may write to, `replies` where its commands are answered, `signer` signs what
        is sent (decisions 0023, 0031).
        """
        client = cls(log, await log.producer(), source, topic, signer)
        client._follower = await Follower.open(log, [replies], client._keep, from_end=True)
        return client

    async def call(
        self,
        space: str,
        type_: str,
        items: Sequence[Item | Mapping[str, object]],
        *,
        id_: str | None = None,
        validate_only: bool = False,
        timeout_seconds: float = REPLY_SECONDS,
    ) -> Reply:
        """Publishes a command (its items are the types of `contracts.messages.commands`, or mappings) and awaits the
        reply. Failed items stand in the reply's `errors`. Raises `NoReply`, and `Unavailable` where Kafka is.
        """
        data = {"items": items, **({"validate_only": True} if validate_only else {})}
        return await self.call_data(space, type_, data, id_=id_, timeout_seconds=timeout_seconds)

    async def call_data(
        self,
        space: str,
        type_: str,
        data: object,
        *,
        id_: str | None = None,
        timeout_seconds: float = REPLY_SECONDS,
    ) -> Reply:
        """`call` with the whole of `data`, whatever it is."""
        command_id = await self.publish(space, type_, data, id_=id_)
        try:
            return await self.reply(command_id, timeout_seconds=timeout_seconds)
        except TimeoutError:
            waited = f"no reply to {type_} {command_id} within {timeout_seconds:.0f} s"
            raise NoReply(f"{waited}: is control running?") from None

    async def publish(self, space: str, type_: str, data: object, *, id_: str | None = None) -> str:
        """Writes one structured command and returns its id."""
        return await self.publish_event(space, {"type": type_, "data": data, **({"id": id_} if id_ else {})})

    async def publish_event(self, space: str, event: Mapping[str, object]) -> str:
        """Writes a structured event, filling in what CloudEvents asks for and the caller left out; returns its id."""
        command_id = str(event.get("id") or uuid.uuid4().hex)
        defaults: dict[str, object] = {"specversion": "1.0", "source": self._source, "spaceid": space}
        if self._signer is not None:
            defaults["time"] = instant_text(int(time.time() * 1000))
        self._replies[command_id] = None
        await self.publish_raw(space, codec.encode({**defaults, **event, "id": command_id}))
        return command_id

    async def publish_raw(self, space: str, value: bytes) -> None:
        """Writes the bytes as they are under the space's key."""
        signed = self._signer.headers(value) if self._signer is not None else ()
        headers = (("content-type", codec.STRUCTURED_TYPE.encode()), *signed)
        await self._producer.send([Out(self._topic, space.encode(), value, headers)])

    async def reply(self, command_id: str, *, timeout_seconds: float = REPLY_SECONDS) -> Reply:
        """The reply to a command that this client published; raises `TimeoutError`, and may be asked again then."""
        async with asyncio.timeout(timeout_seconds):
            while (reply := self._replies[command_id]) is None:
                async with self._reading:
                    if self._replies[command_id] is None:
                        await self._follower.pump()
        del self._replies[command_id]
        return reply

    def changes(
        self, *, space: str | None = None, start: Position | None = None, from_beginning: bool = False
    ) -> AsyncGenerator[MemberChange]:
        """See `member_changes`: close what it returns when you stop reading (`contextlib.aclosing`)."""
        return member_changes(self._log, space=space, start=start, from_beginning=from_beginning)

    async def close(self) -> None:
        await self._follower.close()
        await self._producer.close()

    def _keep(self, record: Record) -> None:
        correlation = codec.header(record.headers, "ce_correlationid")
        if correlation in self._replies and record.value is not None:
            self._replies[correlation] = codec.decode(record.value, Reply)


@asynccontextmanager
async def opened(
    log: Log,
    *,
    source: str = "/usher/client",
    topic: str = catalog.COMMANDS,
    replies: str = catalog.REPLIES,
    signer: Signer | None = None,
) -> AsyncIterator[Client]:
    """A client that is closed at the end of the block."""
    client = await Client.open(log, source=source, topic=topic, replies=replies, signer=signer)
    try:
        yield client
    finally:
        await client.close()
