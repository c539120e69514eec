"""`usher destinations`: what can be delivered to, by the connectors' declarations, and what lets us in, by command."""

from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from services.client import NoReply
from services.connectors.description import described
from services.connectors.registry import CONNECTORS
from services.tools.failed import CallFailed
from services.tools.sender import Sender

_VERIFY_SECONDS: Final = 75.0  # control answers within 60


def list_all(connector: str | None, *, as_json: bool) -> int:
    """All connectors, or one of them; reads no topic: it shows what this version has."""
    if connector is not None and connector not in CONNECTORS:
        raise CallFailed(f"no connector {connector!r}: {', '.join(CONNECTORS)}")
    chosen = [one.declaration for slug, one in CONNECTORS.items() if connector in (None, slug)]
    if as_json:
        for one in chosen:
            print(msgspec.json.encode(described(one)).decode())
        return 0
    table = Table("connector", "entry", "default", "what it is")
    for one in chosen:
        table.add_row(f"[bold]{one.slug}[/bold]", "", "", one.title)
        for part, fields in (("settings", one.settings), ("connection_settings", one.connection_settings)):
            for field in fields:
                default = "required" if field.required else "" if field.default is None else str(field.default)
                table.add_row("", f"{part}.{field.name}", default, field.title)
        for secret in one.secrets:
            table.add_row("", f"secrets.{secret.name}", "required" if secret.required else "", secret.title)
        for entry in one.mapping:
            table.add_row("", f"mapping.{entry.name}", msgspec.json.encode(entry.default).decode(), entry.title)
    Console().print(table)
    return 0


async def verify(space: str, destination: str, sender: Sender, *, as_json: bool) -> int:
    """One line that says whether it can be reached and lets us in; exit 1 where it isn't so."""
    async with sender.session() as (_, client):
        item = {"destination": destination}
        try:
            reply = await client.call(space, "destinations.verify", [item], timeout_seconds=_VERIFY_SECONDS)
        except NoReply as error:
            raise CallFailed(str(error)) from None
    if as_json:
        print(msgspec.json.encode(reply).decode())
    else:
        for one in reply.data:
            print(f"{destination}: verified in {one['latency_ms']} ms")
        for problem in reply.errors:
            print(f"{destination}: {problem.code}: {problem.detail or problem.title}")
    return 1 if reply.errors else 0
