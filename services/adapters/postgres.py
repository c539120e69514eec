"""Tables of somebody else's Postgres by asyncpg: rows and their watermark in one transaction, so each effect once.

`look` tells beforehand whether there can be any.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from contracts import codes
from contracts.codes import Code
from services.adapters import postgres_framing  # noqa: F401 - for what importing it does
from services.runtime.failures import Rejected, Unavailable
from services.runtime.outlets import Database, Rows, SchemaCheck, TableWrite

_CONNECTIONS_MAX: Final = 4
_IDLE_SECONDS: Final = 60.0

_FAILURES: Final = (
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError),
    # What asyncpg's readers meet in messages of a server that breaks the protocol.
    *(ArithmeticError, AssertionError, AttributeError, BufferError, LookupError, RuntimeError, TypeError, ValueError),
)

_MEANINGS: Final[tuple[tuple[tuple[type[Exception], ...], Code], ...]] = (
    (
        (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError),
        codes.DELIVERY_AUTHENTICATION,
    ),
    ((asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError), codes.DELIVERY_PERMANENT),
    (
        (
            asyncpg.InvalidCatalogNameError,
            asyncpg.InvalidSchemaNameError,
            asyncpg.SyntaxOrAccessError,  # a table of other columns, a view, a name that is taken
        ),
        codes.DELIVERY_SETTINGS_INVALID,
    ),
)

_WATERMARKS: Final = """
create table if not exists {schema}.usher_watermarks (
  activation_id text, partition int, sequence bigint not null, primary key (activation_id, partition))"""
_TABLE: Final = """
create table if not exists {table} (
  id_type text, identifier text, entered_at timestamptz not null, sequence bigint not null,
  primary key (id_type, identifier))"""
_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended($1, 0))"
_TAKEN: Final = "select partition, sequence from {schema}.usher_watermarks where activation_id = $1"
_ADD: Final = """
insert into {table} (id_type, identifier, entered_at, sequence)
select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[])
on conflict (id_type, identifier) do update set entered_at = excluded.entered_at, sequence = excluded.sequence
where {table}.sequence < excluded.sequence"""
_REMOVE: Final = """
delete from {table} using unnest($1::text[], $2::text[]) as gone (id_type, identifier)
where {table}.id_type = gone.id_type and {table}.identifier = gone.identifier"""
_RIGHTS: Final = """
select has_schema_privilege(s, 'usage') and has_schema_privilege(s, 'create') as may_create,
  current_setting('transaction_read_only') = 'on' as read_only
from (select $1::text) as asked (s)"""
_MOVE: Final = """
insert into {schema}.usher_watermarks (activation_id, partition, sequence)
select $1, * from unnest($2::int[], $3::bigint[])
on conflict (activation_id, partition) do update set sequence = excluded.sequence"""


class Tables:
    """One database; `address` is where the connection goes."""

    def __init__(self, database: Database, address: str) -> None:
        self._database = database
        self._address = address
        self._pool: asyncpg.Pool | None = None
        self._made: set[tuple[str, str]] = set()

    async def write(self, effect: TableWrite) -> None:
        """All of it or nothing. Raises `Rejected`, or `Unavailable` where it may have happened."""
        try:
            pool = await self._opened()
            async with pool.acquire() as connection, connection.transaction():
                await _take(connection, effect, make=(effect.schema, effect.table) not in self._made)
            self._made.add((effect.schema, effect.table))
        except _FAILURES as error:
            self._made.discard((effect.schema, effect.table))  # somebody may have dropped it
            raise _failure(error) from error

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    async def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                **_login(self._database, self._address),
                min_size=0,
                max_size=_CONNECTIONS_MAX,
                max_inactive_connection_lifetime=_IDLE_SECONDS,
            )
        await self._pool  # opened by the first, at once for the others
        return self._pool


async def look(check: SchemaCheck, address: str) -> None:
    """Logs in at `address` and asks for the rights that `Tables` needs. Raises `Rejected` or `Unavailable`."""
    try:
        connection = await asyncpg.connect(**_login(check.database, address))
        try:
            rights = await connection.fetchrow(_RIGHTS, check.schema)
        finally:
            connection.terminate()
    except _FAILURES as error:
        raise _failure(error) from error
    if rights["read_only"]:
        raise Unavailable("Postgres: the database takes no writes")
    if not rights["may_create"]:
        raise Rejected(codes.DELIVERY_AUTHENTICATION, "Postgres: the user may not make tables in the schema")


def _login(to: Database, address: str) -> dict[str, Any]:
    """What every connection is made with."""
    return {
        "host": to.host if to.tls else address,
        "port": to.port,
        "database": to.name,
        "user": to.username.reveal(),
        "password": to.password.reveal(),
        "ssl": to.tls,  # verified by the system's authorities; "verify-full" would want a file of one's own
        "statement_cache_size": 0,  # so that a pooler in between does no harm
        "server_settings": {"application_name": "usher"},
    }


async def _take(connection: Any, effect: TableWrite, *, make: bool) -> None:
    names = {"schema": _quoted(effect.schema), "table": f"{_quoted(effect.schema)}.{_quoted(effect.table)}"}
    # One writer for a table: the lanes of an activation's other partitions, and a former owner whose commit is late.
    await connection.execute(_LOCK, f"usher {effect.schema}.{effect.table}")
    if make:
        await connection.execute(_LOCK, f"usher {effect.schema}")
        await connection.execute(_WATERMARKS.format(**names))
        await connection.execute(_TABLE.format(**names))
    taken: dict[int, int] = dict(await connection.fetch(_TAKEN.format(**names), effect.activation_id))
    # A delivery may come in parts, of one sequence: at the watermark it is taken once more, which changes nothing.
    rows = [one for one in effect.rows if one.sequence >= taken.get(one.partition, -1)]
    added = [one for one in rows if one.operation == "add"]
    removed = [one for one in rows if one.operation == "remove"]
    if added:
        times = [moment for one in added for moment in [datetime.fromisoformat(one.at)] * len(one.members)]
        sequences = [one.sequence for one in added for _ in one.members]
        await connection.execute(_ADD.format(**names), *_identities(added), times, sequences)
    if removed:
        await connection.execute(_REMOVE.format(**names), *_identities(removed))
    reached = taken | {one.partition: one.sequence for one in sorted(rows, key=lambda one: one.sequence)}
    if reached != taken:
        await connection.execute(_MOVE.format(**names), effect.activation_id, list(reached), list(reached.values()))


def _identities(rows: Sequence[Rows]) -> tuple[list[str], list[str]]:
    return [one.id_type for one in rows for _ in one.members], [member for one in rows for member in one.members]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _failure(error: Exception) -> Rejected | Unavailable:
    """In words without the error's own, which may quote a row."""
    words = f"Postgres: {type(error).__name__}"
    for kinds, code in _MEANINGS:
        if isinstance(error, kinds):
            return Rejected(code, words)
    return Unavailable(words)
