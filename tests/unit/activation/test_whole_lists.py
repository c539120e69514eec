"""Router, lanes and a list that resyncs replace, or that is made, over one log: four partitions, workers that die."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import ClassVar

import msgspec
import pytest
from msgspec.structs import replace

from contracts import catalog, codec
from contracts.messages.delivery import ListCleared, ListMade
from contracts.messages.entities import Audience, Connection, catalogue_key
from contracts.partitioning import default_partition, space_partition
from contracts.records import Out, Record, TopicPartition
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.session_server import SessionServer
from tests.unit.activation.test_activation import Web, World, read_all, until
from tests.unit.connectors.conformance import answered, hashed
from tests.unit.domain.delivery.making import SPACE, change, destination, marker, snapshot

LISTED = Connection(
    space_id=SPACE, name="con_1", created_at="", updated_at="", connection_id="con_1", audience_id="aud_1",
    destination_id="des_1", connection_settings={"segment_id": "4711", "resync": "replace"},
)  # fmt: skip


NAMED = replace(LISTED, connection_settings={"segment_name": "spring", "account_id": "1", "retailer_id": "2"})
AUDIENCE = Audience(
    space_id=SPACE, name="a", created_at="", updated_at="", audience_id="aud_1", kind="list", id_type="customer_id",
    member_type="user", step=1, created_step=1,
)  # fmt: skip


class Listed(World):
    """A list over there, and control as far as it hears of lists that were emptied, replaced or made."""

    connector = "retail-media"
    secrets: ClassVar[tuple[str, ...]] = ("client_id", "client_secret")
    limits: ClassVar = {"requests_per_second": 100_000}
    id_type = "gum"

    def __init__(self, connection: Connection = LISTED) -> None:
        super().__init__()
        self.web = Web(self)
        self.connection = connection

    async def prepare(self) -> None:
        await super().prepare()
        secrets = dict.fromkeys(self.secrets, "env:USHER_SECRET_X")
        to = destination(connector=self.connector, secrets=secrets, limits=self.limits)
        await self.create(replace(to, settings={}, version=2))
        await self.keep(AUDIENCE)
        await self.keep(self.connection)

    def take(self, request: WebRequest) -> WebAnswer:
        """The far side, in place of the receiver of webhooks."""
        raise NotImplementedError

    async def keep(self, made: Audience | Connection) -> None:
        place = space_partition(SPACE, 2)
        await self.write([Out(catalog.CATALOGUE, catalogue_key(made).encode(), codec.encode(made), partition=place)])

    async def changes(self, *records: Record) -> None:
        """Of an id type that is taken there."""
        id_type = self.id_type.encode()
        await super().changes(*(replace(one, value=(one.value or b"").replace(b"kuid", id_type)) for one in records))

    @contextlib.asynccontextmanager
    async def control(self) -> AsyncIterator[None]:
        """Takes what lanes say into the connection for as long as the block lasts."""
        places = [TopicPartition(catalog.OUTCOMES, n) for n in range(await self.log.partitions(catalog.OUTCOMES))]
        reader = await self.log.reader(places)

        async def listen() -> None:
            while True:
                for record in await reader.read(timeout_seconds=0.01):
                    await self.hear(record)

        listening = asyncio.create_task(listen())
        try:
            yield
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
            await reader.close()

    async def hear(self, record: Record) -> None:
        match codec.header(record.headers, "ce_type"):
            case "list-cleared":
                step = max(self.connection.cleared_step, codec.decode(record.value or b"", ListCleared).step)
                self.connection = replace(self.connection, cleared_step=step)
            case "list-made":
                list_id = codec.decode(record.value or b"", ListMade).external_audience_id
                self.connection = replace(self.connection, external_audience_id=list_id)
            case _:
                return
        await self.keep(self.connection)

    async def lanes_used(self) -> set[int]:
        return {record.partition for record in await read_all(self.log, catalog.queue_topic("q1"))}


class ContactList(Listed):
    """Criteo's."""

    def __init__(self, connection: Connection = LISTED) -> None:
        super().__init__(connection)
        self.members = {"stale"}
        self.clearings = 0
        self.made: list[dict[str, object]] = []

    def take(self, request: WebRequest) -> WebAnswer:
        if request.url.endswith("/oauth2/token"):
            return answered({"access_token": "t", "expires_in": 900_000})
        if request.url.endswith("/clear"):
            self.clearings += 1
            self.members = set()
            return WebAnswer(204, {}, b"")
        if "/search?" in request.url:
            found = [{"id": str(n), "attributes": one} for n, one in enumerate(self.made, start=1)]
            return answered({"data": found, "meta": {"totalItems": len(found), "offset": 0, "limit": 500}})
        if request.url.endswith("/create"):
            ((wanted),) = msgspec.json.decode(request.body)["data"]
            self.made.append(wanted["attributes"])
            return answered({"data": [{"id": str(len(self.made))}]})
        said = msgspec.json.decode(request.body)["data"]["attributes"]
        change = set(said["identifiers"])
        self.members = self.members | change if said["operation"] == "add" else self.members - change
        return answered({"data": {"operation": said["operation"]}})


class CustomAudience(Listed):
    """Meta's, which is replaced by a session of three members a request."""

    connector = "meta-audience"
    secrets: ClassVar[tuple[str, ...]] = ("access_token",)
    limits: ClassVar = {"items_per_request": 3}
    id_type = "email_sha256"

    def __init__(self) -> None:
        super().__init__(replace(LISTED, connection_settings={"audience_id": "238", "resync": "replace"}))
        self.there = SessionServer()

    def take(self, request: WebRequest) -> WebAnswer:
        return self.there.take(request)


@pytest.fixture
async def listed() -> ContactList:
    made = ContactList()
    await made.prepare()
    return made


async def test_the_list_is_the_audience_and_has_one_writer(listed: ContactList) -> None:
    async with listed.control(), listed.worker("one"):
        for partition in range(4):
            await listed.changes(
                marker(0, "started", partition=partition, replaces=True, clears=True),
                snapshot(1, [f"old{partition}"], partition=partition),
                change(2, "entered", [f"a{partition}", f"b{partition}"], partition=partition),
                change(3, "exited", [f"old{partition}", f"b{partition}"], partition=partition),
            )
        await until(lambda: listed.members == {f"a{n}" for n in range(4)})
        await listed.settled(4 * 5)
    assert listed.clearings == 1
    assert await listed.lanes_used() == {default_partition(b"con_1", 2)}
    assert await read_all(listed.log, catalog.DEAD_LETTERS) == []


async def test_workers_that_die_with_it_lose_nobody_and_bring_nobody_back(listed: ContactList) -> None:
    """Each dies right after a request went out; resyncs and changes go on on partitions in turn."""
    expected: set[str] = set()
    async with listed.control():
        for n in range(6):
            async with listed.worker(f"worker{n}") as killed:
                for partition in range(4):
                    name = f"m{n}.{partition}"
                    present = sorted(one for one in expected if one.endswith(f".{partition}"))
                    await listed.changes(
                        marker(
                            0,
                            "updated" if n else "started",
                            partition=partition,
                            replaces=True,
                            clears=True,
                            step=n + 1,
                        ),
                        *([snapshot(1, present, partition=partition)] if present else []),
                        change(2, "entered", [name, f"{name}.gone"], partition=partition, step=n + 1),
                        change(3, "exited", [f"{name}.gone"], partition=partition, step=n + 1),
                    )
                    expected.add(name)
                await listed.requested()
                killed.set()
        async with listed.worker("last"):
            await until(lambda: listed.members == expected)
            await listed.settled(6 * 4 * 3)
    assert listed.members == expected
    assert listed.clearings >= 6


async def test_a_list_is_made_once_by_four_partitions_though_every_worker_dies_with_each_request() -> None:
    """Made, and not heard of by anybody: whoever comes next finds it."""
    made = ContactList(NAMED)
    await made.prepare()
    for partition in range(4):
        await made.changes(
            marker(0, "started", partition=partition, makes=True),
            change(1, "entered", [f"a{partition}", f"b{partition}"], partition=partition),
            change(2, "exited", [f"b{partition}"], partition=partition),
        )
    for n in range(5):
        async with made.worker(f"worker{n}") as killed:
            await made.requested()
            if n == 2:
                await until(lambda: bool(made.made))
            killed.set()
    assert made.members == {"stale"}, "nothing is sent before control knows of the list"
    async with made.control(), made.worker("last"):
        await until(lambda: made.members == {"stale"} | {f"a{n}" for n in range(4)})
        await made.settled(4 * 3)
    assert [one["name"] for one in made.made] == ["spring"]
    assert await made.lanes_used() == {default_partition(b"con_1", 2)}


async def test_a_list_that_is_replaced_as_a_whole_is_so_though_its_writers_die_in_the_midst() -> None:
    """Members are never half of a list: what is there is stale, or an audience as one resync had it, and changes."""
    made = CustomAudience()
    await made.prepare()
    expected: set[str] = set()
    async with made.control():
        for n in range(5):
            async with made.worker(f"worker{n}") as killed:
                for partition in range(4):
                    present = sorted(one for one in expected if one.endswith(f".{partition}"))
                    gone, name = f"g{n}.{partition}", f"m{n}.{partition}"
                    step = 2 * n + 1
                    await made.changes(
                        marker(
                            0,
                            "updated" if n else "started",
                            partition=partition,
                            replaces=True,
                            clears=True,
                            step=step,
                            followed_by=len(present),
                        ),
                        *([snapshot(1, [hashed(one) for one in present], partition=partition, step=step)] if n else []),
                        change(2, "entered", [hashed(name), hashed(gone)], partition=partition, step=step),
                        change(3, "exited", [hashed(gone)], partition=partition, step=step + 1),
                    )
                    expected.add(name)
                await made.requested(n + 1)
                killed.set()
        async with made.worker("last"):
            await until(lambda: made.there.members == {hashed(one) for one in expected})
            await made.settled(4 * (5 * 3 + 10))
    assert made.there.replaced
    assert "a change while a session was open" not in made.there.refused
    assert await read_all(made.log, catalog.DEAD_LETTERS) == []
    assert await made.lanes_used() == {default_partition(b"con_1", 2)}
