"""A server that does not speak as Postgres does costs its own lane an attempt, and the worker nothing."""

import asyncio
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.adapters.postgres import Tables
from services.adapters.postgres_framing import Framing
from services.runtime.failures import Unavailable
from services.runtime.outlets import Database, TableWrite
from services.runtime.secret import Secret

PROJECT = Path(__file__).parents[3]
HOSTILE = {
    "zeros": bytes(4_000),
    "type zero": b"\0\0\0\0\x04",
    "length zero": b"R\0\0\0\0",
    "longer than memory": b"R\x7f\xff\xff\xff",
    "negative length": b"R\xff\xff\xff\xff",
    "ready before it began": b"Z\0\0\0\x04",
    "no login of ours": b"R\0\0\0\x08\xff\xff\xff\xff",
    "an error without words": b"E\0\0\0\x05\0",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


async def attempt(answer: bytes) -> None:
    """Writes to a server that says this, and then nothing more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(answer)
        writer.write_eof()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    database = Database("db", port, "d", False, Secret("u"), Secret("p"))
    tables = Tables(database, "127.0.0.1")
    try:
        with pytest.raises(Unavailable, match="Postgres: "):
            async with asyncio.timeout(10):
                await tables.write(TableWrite(database, "public", "t", "act", []))
    finally:
        await tables.close()
        server.close()


def test_a_server_that_breaks_the_protocol_is_one_that_is_away() -> None:
    """In a process of its own: a spin of the loop could be ended by nothing within."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.adapters.test_postgres_framing"],
        cwd=PROJECT,
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


messages = st.lists(st.tuples(st.sampled_from(b"RKSZTDCEN12"), st.binary(max_size=40)), max_size=6)


@given(messages, st.lists(st.integers(1, 7), min_size=1), st.integers(0, 127))
def test_messages_pass_however_they_are_cut_and_nothing_else_does(
    said: list[tuple[int, bytes]], cuts: list[int], kind: int
) -> None:
    stream = b"".join(bytes([kind]) + struct.pack(">i", len(body) + 4) + body for kind, body in said)
    framing, place = Framing(), 0
    while place < len(stream):
        size = cuts[place % len(cuts)]
        assert framing.holds(stream[place : place + size])
        place += size
    assert framing.holds(bytes([kind, 0, 0, 0, 4])) == chr(kind).isalnum()


async def _every_one() -> None:
    for answer in HOSTILE.values():
        await attempt(answer)


if __name__ == "__main__":
    asyncio.run(_every_one())
