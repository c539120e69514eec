"""Makes the adapters from `Settings`, so that every `app.py` opens the outside world in the same way.

Each is an async context manager: `async with open_kafka(settings, client_id="control") as log:`. The ways to
destinations are in `connect_destinations`: the other services start without the clients that these import.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from services.adapters.aws import open_client
from services.adapters.http_server import serve_health
from services.adapters.kafka import KafkaLog, KafkaSettings
from services.adapters.s3 import S3Objects
from services.adapters.sqs import SqsQueue
from services.runtime.clock import SystemClock
from services.runtime.failures import Fatal
from services.runtime.health import Health
from services.runtime.log import Log
from services.runtime.objects import NotificationQueue, OwnedObjects
from services.runtime.settings import Settings
from services.runtime.telemetry import Event


@dataclass(frozen=True)
class HttpServed(Event, counter="usher_http_served_total"):
    """Health and metrics can be asked for at this address."""

    host: str
    port: int


def kafka_settings(settings: Settings, *, client_id: str, prefix: str | None = None) -> KafkaSettings:
    """The Kafka part of the settings; `prefix` "" is for topics that are named as the broker names them."""
    return KafkaSettings(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        client_id=f"usher-{client_id}",
        prefix=settings.topic_prefix if prefix is None else prefix,
        replication_factor=settings.topic_replication_factor,
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_username=settings.kafka_sasl_username,
        sasl_password=_revealed(settings.kafka_sasl_password),
        ssl_ca_file=settings.kafka_ssl_ca_file,
        ssl_certificate_file=settings.kafka_ssl_certificate_file,
        ssl_key_file=settings.kafka_ssl_key_file,
        ssl_key_password=_revealed(settings.kafka_ssl_key_password),
    )


@asynccontextmanager
async def open_kafka(settings: Settings, *, client_id: str, prefix: str | None = None) -> AsyncIterator[Log]:
    """The log; it connects when it is first used."""
    async with KafkaLog(kafka_settings(settings, client_id=client_id, prefix=prefix)) as log:
        yield log


@asynccontextmanager
async def open_objects(settings: Settings, *, signs_bodies: bool = True) -> AsyncIterator[OwnedObjects]:
    """Object storage; `signs_bodies` as in `aws.open_client`."""
    url, region = settings.s3_endpoint_url, settings.s3_region
    async with open_client("s3", endpoint_url=url, region=region, signs_bodies=signs_bodies) as client:
        yield S3Objects(client, clock=SystemClock())


@asynccontextmanager
async def open_queue(settings: Settings, url: str) -> AsyncIterator[NotificationQueue]:
    """One queue of notifications."""
    async with open_client("sqs", endpoint_url=settings.sqs_endpoint_url, region=settings.s3_region) as client:
        yield SqsQueue(client, url)


@asynccontextmanager
async def open_http(settings: Settings, health: Health) -> AsyncIterator[int]:
    """Serves `/livez`, `/readyz` and `/metrics`; the value is the port.

    A chosen port is for machines that watch us and is open on all addresses; a free one is for whoever reads the log.
    """
    host = "0.0.0.0" if settings.http_port else "127.0.0.1"  # noqa: S104 - probes come from outside the pod
    try:
        runner, port = await serve_health(health, host=host, port=settings.http_port)
    except OSError as error:
        raise Fatal(f"USHER_HTTP_PORT={settings.http_port} can't be served: {error.strerror}") from None
    HttpServed(host=host, port=port).emit()
    try:
        yield port
    finally:
        await runner.cleanup()


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
