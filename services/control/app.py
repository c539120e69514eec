"""Control, composed: the fold loop over the sequencer, on Kafka."""

import asyncio
from collections.abc import Hashable, Mapping
from types import MappingProxyType

from contracts import codes
from contracts.messages.entities import Activation, Connection, Destination
from services.adapters.connect import open_http, open_kafka
from services.connectors.base import Connector
from services.connectors.declaration import Mistake, connection_mistakes, filled, limited, list_naming, mistakes
from services.connectors.description import described
from services.connectors.mapping_check import mapping_mistakes
from services.connectors.registry import CONNECTORS
from services.control.restore import ControlService
from services.domain.catalogue.connectors import ConnectorRules, Remark
from services.domain.control.config import OPERATOR_ONLY, CommandSenders
from services.runtime.clock import Clock, SystemClock
from services.runtime.fold import run_folds
from services.runtime.health import Health
from services.runtime.log import Log
from services.runtime.secret_references import DEFAULT_REFERENCES, ReferenceRefused, SecretReferences
from services.runtime.settings import Settings


async def main(settings: Settings, health: Health, stopping: asyncio.Event) -> None:
    """Folds the shards that the group gives us until `stopping` is set."""
    clock = SystemClock()
    async with open_kafka(settings, client_id="control") as log, open_http(settings, health):
        await run_folds(
            log,
            control_service(
                log,
                clock=clock,
                delivery_partitions=settings.topic_partitions_deliveries,
                topic_prefix=settings.topic_prefix,
                command_senders={one.topic: one.principal for one in settings.command_topics},
                reply_topics={one.topic: one.replies for one in settings.command_topics},
                secret_references=settings.secret_references(),
            ),
            clock=clock,
            health=health,
            stopping=stopping,
            instance_id=settings.instance_id,
        )


def control_service(
    log: Log,
    *,
    clock: Clock,
    delivery_partitions: int,
    topic_prefix: str = "usher",
    command_senders: CommandSenders = OPERATOR_ONLY,
    reply_topics: Mapping[str, str] = MappingProxyType({}),
    secret_references: SecretReferences = DEFAULT_REFERENCES,
) -> ControlService:
    """Control over any log, with every connector's judgement on destinations: for `main` and for simulations."""
    connectors = {slug: connector_rules(connector, secret_references) for slug, connector in CONNECTORS.items()}
    return ControlService(
        log,
        connectors=connectors,
        delivery_partitions=delivery_partitions,
        topic_prefix=topic_prefix,
        command_senders=command_senders,
        reply_topics=reply_topics,
        clock=clock,
    )


def connector_rules(connector: Connector, references: SecretReferences) -> ConnectorRules:
    declaration = connector.declaration

    def on_destination(one: Destination) -> list[Remark]:
        wrong = mistakes(declaration, settings=one.settings, secrets=one.secrets, limits=one.limits)
        return _remarks(wrong) + _refused(one, references)

    def on_connection(one: Connection) -> list[Remark]:
        return _remarks(connection_mistakes(declaration, one.connection_settings))

    def on_activation(one: Activation) -> list[Remark]:
        return _remarks(mapping_mistakes(declaration, one))

    def refuses(destination: Destination, id_type: str) -> str | None:
        return connector.refuses(id_type, filled(declaration.settings, destination.settings))

    def members_min(destination: Destination) -> int:
        return limited(declaration, destination.limits).members_min

    def replaces(connection: Connection) -> bool:
        return connector.replaces(filled(declaration.connection_settings, connection.connection_settings))

    def list_of(connection: Connection) -> Hashable | None:
        return list_naming(declaration, connection.connection_settings)

    description = described(declaration)
    return ConnectorRules(
        on_destination=on_destination,
        on_connection=on_connection,
        on_activation=on_activation,
        refuses=refuses,
        replaces=replaces,
        list_of=list_of,
        description=description,
        members_min=members_min,
        refresh_days=declaration.refresh_days,
    )


def _remarks(found: list[Mistake]) -> list[Remark]:
    return [(one.code, f"{one.field}: {one.detail}") for one in found]


def _refused(destination: Destination, references: SecretReferences) -> list[Remark]:
    """Secrets that are not the space's to use."""
    found: list[Remark] = []
    for name, reference in destination.secrets.items():
        try:
            references.found(reference, destination.space_id)
        except ReferenceRefused as error:
            found.append((codes.SECRET_REFUSED, f"secrets.{name}: {error}"))
    return found
