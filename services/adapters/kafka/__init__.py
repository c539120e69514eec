"""The log on a real Kafka, by aiokafka (services/decisions/0003-kafka-client.md)."""

from services.adapters.kafka import reconnecting  # noqa: F401 - for what importing it does
from services.adapters.kafka.log import KafkaLog
from services.adapters.kafka.settings import KafkaSettings

__all__ = ["KafkaLog", "KafkaSettings"]
