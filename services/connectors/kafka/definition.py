"""The kafka connector's declaration, and the connector itself."""

import hashlib
from collections.abc import Sequence
from typing import Final

from services.connectors.base import EffectConnector, Request, Settings, Target
from services.connectors.declaration import Declaration, Limits, SecretField, SettingField
from services.connectors.events import PAYLOAD, payloads
from services.domain.delivery.merge import Item
from services.runtime.outlets import Cluster, EventsWrite, TopicCheck
from services.runtime.secret import SecretUnavailable

DECLARATION: Final = Declaration(
    slug="kafka",
    title="Kafka",
    settings=(
        SettingField(
            "bootstrap_servers", "text", "Brokers, host:port, with commas between", required=True,
            pattern=r"[A-Za-z0-9_.:\[\]-]+:[0-9]{1,5}(,[A-Za-z0-9_.:\[\]-]+:[0-9]{1,5}){0,15}",
        ),
        SettingField("topic", "text", "The topic; it must exist", required=True, pattern=r"[A-Za-z0-9._-]{1,249}"),
        SettingField("tls", "boolean", "Whether the brokers speak TLS; certificates are verified", default=True),
        SettingField(
            "sasl_mechanism", "choice", "How the password is shown", default="SCRAM-SHA-512",
            choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
        ),
    ),
    secrets=(
        SecretField("username", "The SASL user; with a password or not at all"),
        SecretField("password", "Its password"),
    ),
    limits=Limits(items_per_request=5_000, items_per_request_max=50_000),
    mapping=(PAYLOAD,),
    removal="A member that exits is an event that says false, at once.",
    lists="A topic, which exists.",
    verification=(
        "The brokers that lead the topic are connected to and asked whether it exists and whether the user may write "
        "to it; brokers before 2.3 don't say the latter. Nothing is written."
    ),
)  # fmt: skip


class Kafka(EffectConnector):
    """The connector `kafka`."""

    declaration = DECLARATION

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:  # noqa: ARG002 - none says how
        """One write with an event for each identity; the id is of the items, of which the events are a function."""
        digest = hashlib.sha256("\n".join(item.id for item in items).encode()).hexdigest()[:32]
        return [Request(id=f"events_{digest}", items=tuple(items), body=b"")]

    def effect(self, request: Request, target: Target) -> EventsWrite:
        """The events, keyed by identity."""
        from services.connectors.kafka.hashes import hashes  # noqa: PLC0415 - 100 MB that few destinations need

        keys = [member.encode() for item in request.items for member in item.members]
        values = [one for item in request.items for one in payloads(item)]
        return EventsWrite(
            cluster=_cluster(target),
            topic=str(target.settings["topic"]),
            keys=keys,
            values=values,
            hashes=hashes(keys),
            headers=(("content-type", b"application/json"),),
        )

    def check(self, target: Target) -> TopicCheck:
        """The topic, and that we may write to it."""
        return TopicCheck(_cluster(target), str(target.settings["topic"]))


def _cluster(target: Target) -> Cluster:
    username, password = target.secrets.get("username"), target.secrets.get("password")
    if (username is None) != (password is None):
        raise SecretUnavailable("the secrets 'username' and 'password' go together")
    return Cluster(
        bootstrap_servers=str(target.settings["bootstrap_servers"]),
        tls=bool(target.settings["tls"]),
        sasl_mechanism=str(target.settings["sasl_mechanism"]),
        username=username,
        password=password,
    )
