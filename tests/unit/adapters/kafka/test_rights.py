"""Whether a topic may be written to, as a broker says it that we speak for ourselves: a real one here refuses nobody."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiokafka.protocol.admin import ApiVersionResponse_v0
from aiokafka.protocol.metadata import MetadataResponse_v5

from contracts import codes
from services.adapters.kafka.rights import MetadataResponse
from services.adapters.outlets import OpenOutlets
from services.runtime.clock import SystemClock
from services.runtime.failures import Rejected, Unavailable
from services.runtime.outlets import Cluster, TopicCheck

WRITE = 1 << 4
ALL_BUT_WRITE = 0xFFF & ~WRITE
UNSAID = -(1 << 31)
TOPIC = "theirs"


@dataclass
class Broker:
    """Answers what it is asked first on each connection; `newest` is the version of metadata that it speaks."""

    newest: int = 8
    rights: int = 0xFFF
    error: int = 0
    leader: int = 1
    garbage: bytes | None = None
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        port = writer.get_extra_info("sockname")[1]
        try:
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                key, version, correlation = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
                body = struct.pack(">i", correlation) + self._answer(key, version, port)
                writer.write(struct.pack(">i", len(body)) + body if self.garbage is None else self.garbage)
                if self.garbage is not None:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    def _answer(self, key: int, version: int, port: int) -> bytes:
        if key == 18:
            made: bytes = ApiVersionResponse_v0(0, [(3, 0, self.newest), (18, 0, 0)]).encode()
            return made
        assert key == 3, "it is asked for nothing else"
        brokers = [(1, "127.0.0.1", port, None)]
        partition: tuple[object, ...] = (0, 0, self.leader, [1], [1], [])
        if version == 5:
            made = MetadataResponse_v5(0, brokers, "c", 1, [(self.error, TOPIC, False, [partition])]).encode()
            return made
        assert version == 8
        newer: tuple[object, ...] = (0, 0, self.leader, 7, [1], [1], [])
        topics = [(self.error, TOPIC, False, [newer], self.rights)]
        made = MetadataResponse(0, brokers, "c", 1, topics, UNSAID).encode()
        return made


@asynccontextmanager
async def running(broker: Broker) -> AsyncIterator[TopicCheck]:
    async with await asyncio.start_server(broker.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield TopicCheck(Cluster(f"127.0.0.1:1,127.0.0.1:{port}", False, "PLAIN", None, None), TOPIC)


async def looked(broker: Broker, *, allow_private: bool = True) -> None:
    outlets = OpenOutlets(clock=SystemClock(), allow_private=allow_private)
    async with running(broker) as check:
        await outlets.check(check, timeout_seconds=5)


@pytest.mark.parametrize(
    "broker", [Broker(), Broker(rights=WRITE), Broker(rights=UNSAID), Broker(newest=5), Broker(newest=12)]
)
async def test_who_may_write_or_is_not_told_otherwise_is_let_in(broker: Broker) -> None:
    await looked(broker)
    assert broker.connections == 2  # that which was asked, and the leader as it calls itself


@pytest.mark.parametrize(
    ("broker", "code"),
    [
        (Broker(rights=ALL_BUT_WRITE), codes.DELIVERY_AUTHENTICATION),
        (Broker(rights=0), codes.DELIVERY_AUTHENTICATION),
        (Broker(error=29), codes.DELIVERY_AUTHENTICATION),  # TOPIC_AUTHORIZATION_FAILED
        (Broker(error=3), codes.DELIVERY_SETTINGS_INVALID),  # UNKNOWN_TOPIC_OR_PARTITION
        (Broker(error=3, newest=5), codes.DELIVERY_SETTINGS_INVALID),
    ],
)
async def test_who_must_act_is_told(broker: Broker, code: codes.Code) -> None:
    with pytest.raises(Rejected) as caught:
        await looked(broker)
    assert caught.value.code is code


@pytest.mark.parametrize(
    "broker", [Broker(leader=-1), Broker(error=5), Broker(garbage=b"\0\0\0\x08\0\0\0\1none"), Broker(garbage=b"")]
)
async def test_what_may_pass_is_no_refusal(broker: Broker) -> None:
    with pytest.raises(Unavailable):
        await looked(broker)


async def test_no_private_address_is_gone_to() -> None:
    with pytest.raises(Rejected) as caught:
        await looked(Broker(), allow_private=False)
    assert caught.value.code is codes.DELIVERY_ADDRESS_REFUSED
