"""The postgres connector on a real Postgres: each effect once, whatever fails, whatever comes again (fault 63)."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import asyncpg
import msgspec
import pytest

from contracts import codes
from contracts.messages.delivery import Delivery
from services.adapters.postgres import Tables, look
from services.connectors.base import Target
from services.connectors.declaration import filled
from services.connectors.postgres.definition import DECLARATION, Postgres
from services.domain.delivery.merge import collapse, cut
from services.runtime.failures import Rejected, Unavailable
from services.runtime.outlets import Database, SchemaCheck, TableWrite
from services.runtime.secret import Secret
from tests.unit.domain.delivery.making import delivery

SETTINGS = filled(DECLARATION.settings, {"host": "db", "database": "postgres", "tls": False})
SECRETS = {"username": Secret("postgres"), "password": Secret("unused")}
TABLE = 'spring "sale"; --'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Postgres of our own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the wheel's: no runtime folder in containers
        from pgserver.postgres_server import get_server

        server = get_server(tmp_path_factory.mktemp("postgres"))
    yield server
    server.cleanup()


@pytest.fixture(scope="module")
def address(server: Any) -> str:
    """The folder of its socket."""
    return str(server.get_postmaster_info().socket_dir)


@pytest.fixture
async def theirs(address: str) -> AsyncIterator[Any]:
    """The database as its owner sees it, empty."""
    connection = await asyncpg.connect(host=address, user="postgres", database="postgres")
    await connection.execute("drop schema public cascade; create schema public")
    yield connection
    await connection.close()


@pytest.fixture
async def tables(address: str, theirs: Any) -> AsyncIterator[Tables]:
    made = Tables(Database("db", 5432, "postgres", False, SECRETS["username"], SECRETS["password"]), address)
    yield made
    await made.close()


def write(*said: Delivery, name: str = TABLE) -> TableWrite:
    (items,) = cut(collapse([msgspec.structs.replace(one, activation_name=name) for one in said]), 100_000)
    (request,) = Postgres().requests(items, SETTINGS)
    return Postgres().effect(request, Target(SETTINGS, SECRETS, 0))


async def members(theirs: Any, table: str = TABLE) -> dict[str, int]:
    quoted = table.replace('"', '""')
    return {row["identifier"]: row["sequence"] for row in await theirs.fetch(f'select * from "{quoted}"')}


async def test_rows_enter_and_exit_and_a_repeat_changes_nothing(tables: Tables, theirs: Any) -> None:
    first = write(delivery(7, "add", ["u1", "ü2", "'; drop table x"]), delivery(8, "remove", ["u1"]))
    second = write(delivery(9, "add", ["u1"]), delivery(10, "remove", ["ü2"]))
    for effect in (first, first, second, first, second):
        await tables.write(effect)
    assert await members(theirs) == {"u1": 9, "'; drop table x": 7}
    assert [tuple(row) for row in await theirs.fetch("select * from usher_watermarks")] == [("act_1", 0, 10)]


async def test_what_is_older_than_the_watermark_never_comes_back(tables: Tables, theirs: Any) -> None:
    await tables.write(write(delivery(7, "add", ["u1"])))
    await tables.write(write(delivery(8, "remove", ["u1"])))
    await tables.write(write(delivery(7, "add", ["u1"])))  # a former owner's, late
    assert await members(theirs) == {}


async def test_parts_of_one_delivery_are_all_taken_and_partitions_are_apart(tables: Tables, theirs: Any) -> None:
    said = msgspec.structs.replace(delivery(7, "add", ["u1", "u2", "u3"]), activation_name=TABLE)
    for items in cut(collapse([said]), 2):
        (request,) = Postgres().requests(items, SETTINGS)
        await tables.write(Postgres().effect(request, Target(SETTINGS, SECRETS, 0)))
    await tables.write(write(delivery(3, "add", ["u4"], partition=5)))
    assert set(await members(theirs)) == {"u1", "u2", "u3", "u4"}


async def test_lanes_that_write_at_once_make_one_table(tables: Tables, theirs: Any) -> None:
    effects = [write(delivery(7, "add", [f"u{partition}"], partition=partition)) for partition in range(8)]
    await asyncio.gather(*(tables.write(effect) for effect in effects))
    assert set(await members(theirs)) == {f"u{partition}" for partition in range(8)}


async def test_a_connection_that_is_lost_in_the_midst_has_all_or_nothing(tables: Tables, theirs: Any) -> None:
    await tables.write(write(delivery(7, "add", ["u1"])))
    late = write(delivery(8, "add", ["u2"]), delivery(9, "remove", ["u1"]))
    async with theirs.transaction():
        await theirs.execute("lock usher_watermarks")
        writing = asyncio.create_task(tables.write(late))
        await _until_waiting(theirs)
        await theirs.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'usher'")
        with pytest.raises(Unavailable):
            await writing
    assert await members(theirs) == {"u1": 7}
    await tables.write(late)
    assert await members(theirs) == {"u2": 8}


async def test_a_server_that_dies_and_comes_back_has_all_or_nothing(
    tables: Tables, theirs: Any, server: Any, address: str
) -> None:
    from pgserver._commands import pg_ctl  # type: ignore[attr-defined]  # made when it is imported

    await tables.write(write(delivery(7, "add", ["u1"])))
    late = write(delivery(8, "add", ["u2"]), delivery(9, "remove", ["u1"]))
    await theirs.execute("begin; lock usher_watermarks")
    writing = asyncio.create_task(tables.write(late))
    await _until_waiting(theirs)
    await asyncio.to_thread(pg_ctl, ["-w", "-m", "immediate", "stop"], pgdata=server.pgdata, user=server.system_user)
    for attempt in (writing, tables.write(late)):
        with pytest.raises(Unavailable):
            await attempt
    await asyncio.to_thread(server.ensure_postgres_running)
    again = await asyncpg.connect(host=address, user="postgres", database="postgres")
    assert await members(again) == {"u1": 7}
    for _ in range(2):
        await tables.write(late)
        assert await members(again) == {"u2": 8}
    await again.close()


async def test_a_cancelled_write_has_not_happened_and_can_be_repeated(tables: Tables, theirs: Any) -> None:
    effect = write(delivery(7, "add", ["u1"]))
    await tables.write(write(delivery(6, "add", ["u0"])))
    async with theirs.transaction():
        await theirs.execute("lock usher_watermarks")
        writing = asyncio.create_task(tables.write(effect))
        await _until_waiting(theirs)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    await tables.write(effect)
    assert set(await members(theirs)) == {"u0", "u1"}


async def _until_waiting(theirs: Any) -> None:
    async with asyncio.timeout(10):
        while not await theirs.fetchval(
            "select count(*) from pg_stat_activity where application_name = 'usher' and wait_event_type = 'Lock'"
        ):
            await theirs.execute("select pg_sleep(0.01)")


async def test_a_table_of_other_columns_waits_for_its_owner(tables: Tables, theirs: Any) -> None:
    await theirs.execute("create table mine (colour text)")
    with pytest.raises(Rejected) as caught:
        await tables.write(write(delivery(7, "add", ["u1"]), name="mine"))
    assert caught.value.code is codes.DELIVERY_SETTINGS_INVALID
    await theirs.execute("drop table mine")
    await tables.write(write(delivery(7, "add", ["u1"]), name="mine"))
    assert await members(theirs, "mine") == {"u1": 7}


async def test_a_table_that_somebody_dropped_is_made_again(tables: Tables, theirs: Any) -> None:
    await tables.write(write(delivery(7, "add", ["u1"]), name="mine"))
    await theirs.execute("drop table mine")
    with pytest.raises(Rejected):
        await tables.write(write(delivery(8, "add", ["u2"]), name="mine"))
    await tables.write(write(delivery(8, "add", ["u2"]), name="mine"))
    assert await members(theirs, "mine") == {"u2": 8}


@pytest.mark.parametrize("user", ["nobody"])
async def test_who_may_not_come_in_is_told_so(address: str, theirs: Any, user: str) -> None:
    stranger = Tables(Database("db", 5432, "postgres", False, Secret(user), Secret("x")), address)
    with pytest.raises(Rejected) as caught:
        await stranger.write(write(delivery(7, "add", ["u1"])))
    assert caught.value.code is codes.DELIVERY_AUTHENTICATION
    nowhere = Tables(Database("db", 5432, "nowhere", False, *SECRETS.values()), address)
    with pytest.raises(Rejected) as caught:
        await nowhere.write(write(delivery(7, "add", ["u1"])))
    assert caught.value.code is codes.DELIVERY_SETTINGS_INVALID
    gone = Tables(Database("db", 5432, "postgres", False, *SECRETS.values()), f"{address}/nothing")
    with pytest.raises(Unavailable):
        await gone.write(write(delivery(7, "add", ["u1"])))


@pytest.mark.parametrize("name", ["", "x" * 64, "ü" * 32])
def test_a_name_that_no_table_can_have_waits_for_its_owner(name: str) -> None:
    said: Sequence[Delivery] = [delivery(7, "add", ["u1"])]
    with pytest.raises(Rejected) as caught:
        write(*said, name=name)
    assert caught.value.code is codes.DELIVERY_SETTINGS_INVALID


async def looked(address: str, schema: str = "public", user: str = "postgres", database: str = "postgres") -> None:
    await look(SchemaCheck(Database("db", 5432, database, False, Secret(user), SECRETS["password"]), schema), address)


async def test_a_look_tells_who_must_act_and_leaves_nothing(address: str, theirs: Any) -> None:
    await theirs.execute("drop role if exists guest; create role guest login")
    await theirs.execute("create schema if not exists theirs; grant usage on schema theirs to guest")
    await looked(address)
    for wrong, code in (
        ({"schema": "nowhere"}, codes.DELIVERY_SETTINGS_INVALID),
        ({"database": "nowhere"}, codes.DELIVERY_SETTINGS_INVALID),
        ({"user": "nobody"}, codes.DELIVERY_AUTHENTICATION),
        ({"user": "guest", "schema": "theirs"}, codes.DELIVERY_AUTHENTICATION),
    ):
        with pytest.raises(Rejected) as caught:
            await looked(address, **wrong)
        assert caught.value.code is code, wrong
    await theirs.execute("grant create on schema theirs to guest")
    await looked(address, schema="theirs", user="guest")
    await theirs.execute("alter role guest set default_transaction_read_only = on")
    with pytest.raises(Unavailable, match="takes no writes"):
        await looked(address, schema="theirs", user="guest")
    assert await theirs.fetch("select 1 from pg_tables where schemaname in ('public', 'theirs')") == []
    await theirs.execute("drop schema theirs; drop role guest")


async def test_tls_is_spoken_where_it_is_asked_for() -> None:
    """With the system's authorities: nobody has a file of them for this alone."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"S")
        heard.append(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        database = Database("127.0.0.1", port, "d", True, Secret("u"), Secret("p"))
        with pytest.raises(Unavailable):
            await look(SchemaCheck(database, "public"), "127.0.0.1")
    assert heard == [b"\x16"]  # a handshake begins
