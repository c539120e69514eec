"""What the Kafka log must be told, what that is in aiokafka's words, and the prefix of topic names."""

import ssl
from dataclasses import dataclass, field
from typing import Any

import aiokafka

from contracts.records import TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Where the brokers are and how to be let in. With an empty `prefix`, names are the broker's own.

    `session_timeout_seconds` is how long a killed dynamic member keeps its partitions. `topics_refresh_seconds` is how
    long a member with a pattern may take to see a new topic. `fetch_wait_ms` is how long an idle fetch waits at the
    broker: it bounds how late a partition is fetched that was not being asked for when the fetch began.
    """

    bootstrap_servers: str
    client_id: str = "usher"
    prefix: str = "usher"
    replication_factor: int | None = None  # None: 3, or the number of brokers where there are fewer
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_ca_file: str | None = None
    ssl_certificate_file: str | None = None
    ssl_key_file: str | None = None
    ssl_key_password: str | None = field(default=None, repr=False)
    session_timeout_seconds: float = 10.0
    request_timeout_seconds: float = 30.0
    topics_refresh_seconds: float = 5.0
    fetch_wait_ms: int = 100

    def client(self) -> dict[str, Any]:
        """Arguments that every kind of aiokafka client takes."""
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "request_timeout_ms": round(self.request_timeout_seconds * 1000),
            "security_protocol": self.security_protocol,
            "ssl_context": self._ssl_context(),
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
        }

    def full(self, name: str) -> str:
        """The name on the broker of a topic, a group or a transactional id: two installations may share a cluster."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def name(self, topic: str) -> str | None:
        """Our name of a topic on the broker; None where it does not carry the prefix."""
        if not self.prefix:
            return topic
        return topic.removeprefix(f"{self.prefix}.") if topic.startswith(f"{self.prefix}.") else None

    def theirs(self, partition: TopicPartition) -> aiokafka.TopicPartition:
        """A partition as aiokafka names it."""
        return aiokafka.TopicPartition(self.full(partition.topic), partition.partition)

    def ours(self, partition: aiokafka.TopicPartition) -> TopicPartition:
        """A partition of a topic that carries the prefix."""
        name = self.name(partition.topic)
        assert name is not None, partition
        return TopicPartition(name, partition.partition)

    def _ssl_context(self) -> ssl.SSLContext | None:
        if self.security_protocol not in {"SSL", "SASL_SSL"}:
            return None
        context = ssl.create_default_context(cafile=self.ssl_ca_file)
        if self.ssl_certificate_file is not None:
            context.load_cert_chain(self.ssl_certificate_file, self.ssl_key_file, self.ssl_key_password)
        return context
