"""`usher send`: publishes commands and prints their replies, in the order of the lines."""

import asyncio
import sys
from pathlib import Path

import msgspec

from contracts import codec
from services.client import Client
from services.tools.failed import CallFailed
from services.tools.sender import Sender


async def main(file: str, sender: Sender, *, timeout_seconds: float) -> int:
    """Exit 1 where an item failed, a command was rejected, or a line is no command."""
    text = await asyncio.to_thread(_text, file)
    async with sender.session() as (_, client):
        results = [await _send(client, line, timeout_seconds) for line in text.splitlines() if line.strip()]
    return 0 if all(results) else 1


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise CallFailed(str(error)) from None


async def _send(client: Client, line: str, timeout_seconds: float) -> bool:
    try:
        command = codec.decode(line.encode(), dict[str, object])
    except codec.Unreadable as error:
        sys.stderr.write(f"not a JSON object: {error.detail}\n")
        return False
    space, type_ = command.get("spaceid"), command.get("type")
    if not isinstance(space, str) or not isinstance(type_, str):
        sys.stderr.write("a command needs `type` and `spaceid`\n")
        return False
    command_id = await client.publish_event(space, command)
    try:
        reply = await client.reply(command_id, timeout_seconds=timeout_seconds)
    except TimeoutError:
        sys.stderr.write(f"{type_} {command_id}: no reply within {timeout_seconds:.0f} s: is control running?\n")
        return False
    print(msgspec.json.encode({"type": type_, "id": command_id, **msgspec.structs.asdict(reply)}).decode())
    return not reply.errors
