"""A list that each resync replaces: four partitions of membership, two lanes, one writer, which dies in the midst."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from tests.broker.space import Space, named
from tests.broker.system import SECRET_REFERENCE, System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]


class ContactList:
    """Criteo's list, with somebody in it whom nobody has sent."""

    def __init__(self) -> None:
        self.members = {"stale"}
        self.clearings = 0

    async def token(self, _: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "expires_in": 900})

    async def clear(self, _: web.Request) -> web.Response:
        self.clearings += 1
        self.members = set()
        return web.Response(status=204)

    async def change(self, request: web.Request) -> web.Response:
        said = msgspec.json.decode(await request.read())["data"]["attributes"]
        change = set(said["identifiers"])
        self.members = self.members | change if said["operation"] == "add" else self.members - change
        return web.json_response({"data": {"operation": said["operation"]}})

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The value is its address."""
        app = web.Application()
        segment = "/{version}/retail-media/audience-segments/4711/contact-list"
        app.router.add_post("/oauth2/token", self.token)
        app.router.add_post(f"{segment}/clear", self.clear)
        app.router.add_post(f"{segment}/add-remove", self.change)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_each_resync_replaces_the_list_though_its_one_writer_is_killed(space: Space, system: System) -> None:
    there = ContactList()
    async with there.served() as url:
        await space.audiences("a", id_type="customer_id")
        await space.destination(
            "d", url, connector="retail-media", settings={"url": url}, limits={"requests_per_second": 1000},
            secrets={"client_id": SECRET_REFERENCE, "client_secret": SECRET_REFERENCE},
        )  # fmt: skip
        replacing = {"segment_id": "4711", "resync": "replace"}
        ends = {"audience": "a", "destination": "d"}
        await space.send("connections.create", {"name": "c", **ends, "connection_settings": replacing})
        first, second = named(range(200)), named(range(100, 300))
        await space.send("members.add", {"audience": "a", "id_type": "customer_id", "identifiers": sorted(first)})
        await space.send("activations.create", {"name": "x", **ends})
        await space.until("the list is the audience", lambda: there.members == first)
        assert there.clearings == 1

        there.members.add("of somebody else")
        await space.send("activations.resync", {"activation": "x"})
        await space.send(
            "members.add", {"audience": "a", "id_type": "customer_id", "identifiers": sorted(second - first)}
        )
        await space.send(
            "members.remove", {"audience": "a", "id_type": "customer_id", "identifiers": sorted(first - second)}
        )
        await system.kill("activation")
        await system.start("activation")
        await space.until("the list is the audience", lambda: there.members == second and there.clearings > 1)

        def all_is_delivered() -> bool:
            status = space.observed.activations.get(space.observed.id_of("activation", "x"))
            return status is not None and status.counters.pending == 0 and status.counters.changes >= 600

        await space.until("all is counted", all_is_delivered)
        assert there.members == second
        assert there.clearings <= 3, "once for each resync, and once more where the writer died with it"
