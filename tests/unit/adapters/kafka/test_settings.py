"""Names with and without prefix, and what aiokafka is told."""

import pytest

from contracts.records import TopicPartition
from services.adapters.kafka.settings import KafkaSettings


@pytest.mark.parametrize(("prefix", "full"), [("usher", "usher.commands.v1"), ("", "commands.v1")])
def test_a_name_goes_there_and_back(prefix: str, full: str) -> None:
    settings = KafkaSettings(bootstrap_servers="x:1", prefix=prefix)
    assert settings.full("commands.v1") == full
    assert settings.name(full) == "commands.v1"
    partition = TopicPartition("commands.v1", 3)
    assert settings.ours(settings.theirs(partition)) == partition


def test_another_installations_topic_is_not_ours() -> None:
    settings = KafkaSettings(bootstrap_servers="x:1", prefix="usher")
    assert settings.name("usher2.commands.v1") is None
    assert settings.name("commands.v1") is None


def test_secrets_do_not_show() -> None:
    settings = KafkaSettings(bootstrap_servers="x:1", sasl_password="hunter2", ssl_key_password="hunter3")
    assert "hunter" not in repr(settings)


def test_encryption_is_checked_against_authorities_by_default() -> None:
    plain = KafkaSettings(bootstrap_servers="x:1").client()
    assert plain["ssl_context"] is None
    context = KafkaSettings(bootstrap_servers="x:1", security_protocol="SASL_SSL").client()["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
