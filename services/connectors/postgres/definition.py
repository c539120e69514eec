"""The postgres connector's declaration, and the connector itself."""

import hashlib
from collections.abc import Sequence
from typing import Final

from contracts import codes
from services.connectors.base import EffectConnector, Request, Settings, Target
from services.connectors.declaration import Declaration, Limits, SecretField, SettingField
from services.connectors.grouping import grouped
from services.domain.delivery.merge import Item
from services.runtime.failures import Rejected
from services.runtime.outlets import Database, Rows, SchemaCheck, TableWrite

_NAME_BYTES_MAX: Final = 63  # Postgres cuts longer names without a word

DECLARATION: Final = Declaration(
    slug="postgres",
    title="Postgres",
    settings=(
        SettingField("host", "text", "The server", required=True, pattern=r"[A-Za-z0-9.:-]{1,253}"),
        SettingField("port", "integer", "Its port", default=5432, minimum=1, maximum=65535),
        SettingField("database", "text", "The database", required=True, pattern=r"[^\x00]{1,63}"),
        SettingField("schema", "text", "The schema of the tables; it must exist", default="public",
                     pattern=r"[a-z_][a-z0-9_]{0,62}"),
        SettingField("tls", "boolean", "Whether the server speaks TLS; its certificate is verified", default=True),
    ),
    secrets=(
        SecretField("username", "The user, who may create tables in the schema", required=True),
        SecretField("password", "The user's password", required=True),
    ),
    limits=Limits(items_per_request=10_000, items_per_request_max=100_000),
    removal="A member that exits is deleted from the table, at once.",
    lists="A table with the activation's name, made at the first delivery where there is none.",
    verification=(
        "The user logs in and asks whether the database takes writes, the schema exists, and the user may make tables "
        "in it. Nothing is written."
    ),
)  # fmt: skip


class Postgres(EffectConnector):
    """The connector `postgres`."""

    declaration = DECLARATION

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:  # noqa: ARG002 - none says how
        """One for each activation, since each has a table; the id is of the items, whose rows it stands for."""
        return [_request(group) for _, group in grouped(items, lambda item: item.delivery.activation_id)]

    def effect(self, request: Request, target: Target) -> TableWrite:
        """The rows; raises `Rejected` where the activation's name can be no table's."""
        said = request.items[0].delivery
        name = said.activation_name
        if not name or "\x00" in name or len(name.encode()) > _NAME_BYTES_MAX:
            detail = f"an activation's name is its table's: 1 to {_NAME_BYTES_MAX} bytes"
            raise Rejected(codes.DELIVERY_SETTINGS_INVALID, detail)
        return TableWrite(
            database=_database(target),
            schema=str(target.settings["schema"]),
            table=name,
            activation_id=said.activation_id,
            rows=[_rows(item) for item in request.items],
        )

    def check(self, target: Target) -> SchemaCheck:
        """The schema, and that we may make tables in it."""
        return SchemaCheck(_database(target), str(target.settings["schema"]))


def _database(target: Target) -> Database:
    settings = target.settings
    port = settings["port"]
    assert isinstance(port, int)
    return Database(
        host=str(settings["host"]),
        port=port,
        name=str(settings["database"]),
        tls=bool(settings["tls"]),
        username=target.secrets["username"],
        password=target.secrets["password"],
    )


def _request(items: Sequence[Item]) -> Request:
    digest = hashlib.sha256("\n".join(item.id for item in items).encode()).hexdigest()[:32]
    return Request(id=f"rows_{digest}", items=tuple(items), body=b"")


def _rows(item: Item) -> Rows:
    said = item.delivery
    assert said.operation != "clear", "a table is not emptied by a resync"
    return Rows(said.operation, said.id_type, item.members, said.at, said.partition, said.sequence)
