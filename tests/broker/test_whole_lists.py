"""A list that each resync replaces, or that is made: four partitions, two lanes, one writer, which dies in the midst."""

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
        self.made: list[dict[str, object]] = []

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

    async def search(self, _: web.Request) -> web.Response:
        found = [{"id": "4711", "attributes": one} for one in self.made]
        return web.json_response({"data": found, "meta": {"totalItems": len(found), "offset": 0, "limit": 500}})

    async def create(self, request: web.Request) -> web.Response:
        """Made, and nobody hears of it."""
        self.made += [one["attributes"] for one in msgspec.json.decode(await request.read())["data"]]
        return web.Response(status=504)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The value is its address."""
        app = web.Application()
        segment = "/{version}/retail-media/audience-segments/4711/contact-list"
        app.router.add_post("/oauth2/token", self.token)
        account = "/{version}/retail-media/accounts/1/audience-segments"
        app.router.add_post(f"{account}/search", self.search)
        app.router.add_post(f"{account}/create", self.create)
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


async def destination(space: Space, url: str) -> None:
    """`d`: the platform at this address."""
    await space.destination(
        "d", url, connector="retail-media", settings={"url": url}, limits={"requests_per_second": 1000},
        secrets={"client_id": SECRET_REFERENCE, "client_secret": SECRET_REFERENCE},
    )  # fmt: skip


async def test_each_resync_replaces_the_list_though_its_one_writer_is_killed(space: Space, system: System) -> None:
    there = ContactList()
    async with there.served() as url:
        await space.audiences("a", id_type="customer_id")
        await destination(space, url)
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


async def test_a_list_is_made_once_for_all_partitions_and_the_connection_says_which_it_is(space: Space) -> None:
    there = ContactList()
    async with there.served() as url:
        await space.audiences("a", id_type="customer_id")
        await destination(space, url)
        ends = {"audience": "a", "destination": "d"}
        named = {"segment_name": "spring", "account_id": "1", "retailer_id": "2"}
        await space.send("connections.create", {"name": "c", **ends, "connection_settings": named})
        await space.send("activations.create", {"name": "x", **ends})
        members = sorted(f"m{n}" for n in range(200))
        await space.send("members.add", {"audience": "a", "id_type": "customer_id", "identifiers": members})
        await space.until("the list is the audience", lambda: there.members == {"stale", *members})
        (form,) = await space.send("connections.update", {"connection": "c", "name": "renamed"})
    assert [(one["name"], one["contactList"]) for one in there.made] == [("spring", {"identifierType": "CustomerId"})]
    assert form["external_audience_id"] == "4711"
