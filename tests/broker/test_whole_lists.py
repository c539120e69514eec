"""A list that each resync replaces, or that is made: four partitions, two lanes, one writer, which dies in the midst.

Emptied first (Criteo), by a session (Meta), or as objects and a manifest (files).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from services.runtime.failures import Unavailable
from services.runtime.web import WebRequest
from services.tools.receiver import served
from tests.broker.space import Space, named
from tests.broker.system import SECRET_REFERENCE, System
from tests.unit.activation.session_server import SessionServer
from tests.unit.connectors.conformance import hashed

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
        async with served(app) as url:
            yield url


class Audience(SessionServer):
    """Meta's, behind an address."""

    async def answer(self, request: web.Request) -> web.Response:
        asked = WebRequest(
            method=request.method, url=str(request.url), headers={}, body=await request.read(), timeout_seconds=1.0
        )
        try:
            answer = self.take(asked)
        except Unavailable:
            return web.Response(status=504)
        return web.Response(status=answer.status, body=answer.body)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The value is its address."""
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self.answer)
        async with served(app) as url:
            yield url


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


async def test_each_resync_replaces_an_audience_in_one_session_though_its_writer_is_killed(
    space: Space, system: System
) -> None:
    there = Audience(lost={7})
    async with there.served() as url:
        await space.audiences("a", id_type="email_sha256")
        await space.destination(
            "d", url, connector="meta-audience", settings={"url": url}, limits={"items_per_request": 50},
            secrets={"access_token": SECRET_REFERENCE},
        )  # fmt: skip
        ends = {"audience": "a", "destination": "d"}
        replacing = {"audience_id": "238", "resync": "replace"}
        await space.send("connections.create", {"name": "c", **ends, "connection_settings": replacing})
        await space.send("activations.create", {"name": "x", **ends})
        await space.until("an empty audience replaces what was there", lambda: there.members == set())
        first, second = ({hashed(n) for n in numbers} for numbers in (range(500), range(100, 600)))
        listed = {"audience": "a", "id_type": "email_sha256"}
        await space.send("members.add", {**listed, "identifiers": sorted(first)})
        await space.until("the list is the audience", lambda: there.members == first)
        there.members.add("of somebody else")
        sessions, requests = len(there.replaced), there.requests
        await space.send("activations.resync", {"activation": "x"})
        await space.send("members.add", {**listed, "identifiers": sorted(second - first)})
        await space.send("members.remove", {**listed, "identifiers": sorted(first - second)})
        await space.until("it has begun", lambda: there.requests > requests)
        await system.kill("activation")
        await system.start("activation")
        await space.until("the list is the audience", lambda: there.members == second)
        assert len(there.replaced) > sessions
        assert "a change while a session was open" not in there.refused
        await space.until("all is counted", lambda: space.delivered("x", changes=1_200))
    assert space.letter_codes() == []


async def test_a_resync_is_a_whole_list_of_files_when_its_manifest_is_there(space: Space, system: System) -> None:
    await space.audiences("a", id_type="customer_id")
    prefix = f"{space.prefix}out/"
    settings = {
        "bucket": system.quiet_bucket, "prefix": prefix, "format": "jsonl", "compression": "none",
        "endpoint_url": system.environment["USHER_S3_ENDPOINT_URL"],
    }  # fmt: skip
    await space.destination(
        "d", "", connector="files", settings=settings, limits={"items_per_request": 70},
        secrets={"access_key_id": SECRET_REFERENCE, "secret_access_key": SECRET_REFERENCE},
    )  # fmt: skip
    ends = {"audience": "a", "destination": "d"}
    await space.send("connections.create", {"name": "c", **ends, "connection_settings": {"resync": "replace"}})
    members = named(range(300))
    await space.send("members.add", {"audience": "a", "id_type": "customer_id", "identifiers": sorted(members)})
    await space.send("activations.create", {"name": "x", **ends})
    await space.until("all is counted", lambda: space.delivered("x", changes=300))

    def read(key: str) -> bytes:
        body: bytes = system.s3.get_object(Bucket=system.quiet_bucket, Key=key)["Body"].read()
        return body

    found = [one["Key"] for one in system.s3.list_objects_v2(Bucket=system.quiet_bucket, Prefix=prefix)["Contents"]]
    (manifest,) = [msgspec.json.decode(read(key)) for key in found if key.endswith("/_manifest.json")]
    assert manifest["members"] == 300
    assert [one["members"] for one in manifest["objects"]] == [70, 70, 70, 70, 20]
    lines = [line for one in manifest["objects"] for line in read(one["key"]).splitlines()]
    assert sorted(msgspec.json.decode(line)["identifier"] for line in lines) == sorted(members)
    assert len(found) == 6
