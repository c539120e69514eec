"""A space of a benchmark that uses the whole system: its entities made by commands, its public topics followed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from contracts import catalog
from services.client import Client, Follower
from services.tools.local_system import LocalSystem
from services.tools.observed import Observed

WITHIN_SECONDS: Final = 300.0
_TOPICS: Final = (catalog.CATALOGUE, catalog.IMPORTS, catalog.SIZES)


class Space:
    """One space; `follower` hands what is said about it to `observed`."""

    def __init__(self, name: str, client: Client) -> None:
        self.name = name
        self.client = client
        self.observed = Observed(name, keep_members=False)
        self.follower: Follower

    async def create(self, type_: str, item: dict[str, Any]) -> None:
        """One entity; it must be accepted."""
        reply = await self.client.call(self.name, type_, [item])
        assert not reply.errors, reply.errors

    async def until(self, true: Callable[[], bool]) -> None:
        """Follows until it is; raises `TimeoutError`."""
        async with asyncio.timeout(WITHIN_SECONDS):
            while not true():
                await self.follower.pump(0.02)


@asynccontextmanager
async def space_of(system: LocalSystem, name: str, *, audiences: Sequence[str]) -> AsyncIterator[Space]:
    """A new space with these list audiences of the id type `user_id`."""
    client = await Client.open(system.log, source="/usher/bench")
    space = Space(name, client)
    try:
        space.follower = await Follower.open(system.log, _TOPICS, space.observed.sink, from_end=False)
        await space.create("spaces.create", {"name": name})
        for audience in audiences:
            await space.create("audiences.create", {"name": audience, "kind": "list", "id_type": "user_id"})
        yield space
        await space.follower.close()
    finally:
        await client.close()
