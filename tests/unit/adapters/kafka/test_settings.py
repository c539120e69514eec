"""Names with and without prefix, and what aiokafka is told."""

import pytest

from contracts.catalog import COMMANDS
from contracts.records import TopicPartition
from services.adapters.kafka.settings import KafkaSettings


@pytest.mark.parametrize(("prefix", "full"), [("usher", f"usher.{COMMANDS}"), ("", COMMANDS)])
def test_a_name_goes_there_and_back(prefix: str, full: str) -> None:
    settings = KafkaSettings(bootstrap_servers="x:1", prefix=prefix)
    assert settings.full(COMMANDS) == full
    assert settings.name(full) == COMMANDS
    partition = TopicPartition(COMMANDS, 3)
    assert settings.ours(settings.theirs(partition)) == partition


def test_another_installations_topic_is_not_ours() -> None:
    settings = KafkaSettings(bootstrap_servers="x:1", prefix="usher")
    assert settings.name(f"usher2.{COMMANDS}") is None
    assert settings.name(COMMANDS) is None


def test_secrets_do_not_show() -> None:
    settings = KafkaSettings(bootstrap_servers="x:1", sasl_password="hunter2", ssl_key_password="hunter3")
    assert "hunter" not in repr(settings)


def test_encryption_is_checked_against_authorities_by_default() -> None:
    plain = KafkaSettings(bootstrap_servers="x:1").client()
    assert plain["ssl_context"] is None
    context = KafkaSettings(bootstrap_servers="x:1", security_protocol="SASL_SSL").client()["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
