"""Settings: where they come from, in which order, and what a wrong one says."""

import json
import os
from pathlib import Path

import pytest

from contracts.catalog import COMMANDS, IMPORTS, REPLIES
from services.runtime.environment import load_settings, unknown_variables
from services.runtime.settings import NotificationSource, Settings, SettingsError

STACK = {
    "kafka_bootstrap_servers": "127.0.0.1:19092",
    "s3_endpoint_url": "http://127.0.0.1:19000",
    "sqs_endpoint_url": "http://127.0.0.1:19000",
    "s3_region": "eu-west-1",
    "s3_bucket": "usher",
    "object_notifications": "sqs:http://127.0.0.1:19000/123456789012/usher-objects",
    "state_url": "s3://usher-state/state",
    "aws_access_key_id": "stack",
    "aws_secret_access_key": "stack-secret",
    "processes": [{"name": "kafka", "pid": 1, "started": "x"}],
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, no credentials, no stack."""
    for name in list(os.environ):
        if name.startswith(("USHER_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def stack_at(folder: Path, state: object = STACK) -> None:
    (folder / ".usher").mkdir(parents=True)
    (folder / ".usher" / "stack.json").write_text(json.dumps(state))


def mistakes(caught: pytest.ExceptionInfo[SettingsError]) -> dict[str, str]:
    return dict(caught.value.mistakes)


def test_one_variable_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_KAFKA_BOOTSTRAP_SERVERS", " a:9092, [::1]:9093 ,")
    settings = load_settings()
    assert settings.kafka_bootstrap_servers == "a:9092,[::1]:9093"
    assert (settings.topic_prefix, settings.topic_replication_factor, settings.http_port) == ("usher", None, 0)
    assert settings.partitions("membership") == 16


def test_every_mistake_is_named_at_once_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": "here, there:9092",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SSL_KEY_FILE": "key.pem",
        "TOPIC_PREFIX": "has.dots",
        "TOPIC_PARTITIONS_MEMBERSHIP": "0",
        "S3_ENDPOINT_URL": "localhost",
        "OBJECT_NOTIFICATIONS": "kafka:good,topic",
        "STATE_URL": "file:///tmp",
        "LOG_LEVEL": "loud",
        "HTTP_PORT": "70000",
        "S3_BUCKET_FILE": "/nowhere",
    }.items():
        monkeypatch.setenv(f"USHER_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    found = mistakes(caught)
    assert set(found) == {
        "USHER_KAFKA_BOOTSTRAP_SERVERS",
        "USHER_KAFKA_SASL_USERNAME",
        "USHER_KAFKA_SASL_PASSWORD",
        "USHER_KAFKA_SSL_KEY_FILE",
        "USHER_TOPIC_PREFIX",
        "USHER_TOPIC_PARTITIONS_MEMBERSHIP",
        "USHER_S3_ENDPOINT_URL",
        "USHER_OBJECT_NOTIFICATIONS",
        "USHER_STATE_URL",
        "USHER_LOG_LEVEL",
        "USHER_HTTP_PORT",
        "USHER_S3_BUCKET",
    }
    assert found["USHER_KAFKA_BOOTSTRAP_SERVERS"] == "not host:port: here"
    assert found["USHER_OBJECT_NOTIFICATIONS"] == "neither kafka:<topic> nor sqs:<queue url>: topic"
    assert "No such file" in found["USHER_S3_BUCKET"]
    lines = str(caught.value).splitlines()
    assert lines[0] == "usher can't start: 12 wrong or missing setting(s)"
    assert len(lines) == 13


def test_what_is_missing_says_what_belongs_there() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert mistakes(caught) == {
        "USHER_KAFKA_BOOTSTRAP_SERVERS": "is required: host:port of at least one broker, comma-separated"
    }


def test_a_service_can_require_what_is_optional_for_others() -> None:
    settings = Settings(kafka_bootstrap_servers="a:1")
    with pytest.raises(SettingsError) as caught:
        settings.require("s3_bucket", "object_notifications", "topic_prefix")
    assert set(mistakes(caught)) == {"USHER_S3_BUCKET", "USHER_OBJECT_NOTIFICATIONS"}


def test_a_secret_comes_from_its_file_and_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    monkeypatch.setenv("USHER_KAFKA_BOOTSTRAP_SERVERS", "a:1")
    monkeypatch.setenv("USHER_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("USHER_KAFKA_SASL_USERNAME", "usher")
    monkeypatch.setenv("USHER_KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "password"))
    settings = load_settings()
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


def test_a_wrong_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_KAFKA_BOOTSTRAP_SERVERS", "a:1")
    monkeypatch.setenv("USHER_KAFKA_SASL_MECHANISM", "hunter2")
    monkeypatch.setenv("USHER_KAFKA_SASL_PASSWORD", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_value_and_its_file_contradict_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bucket").write_text("b")
    monkeypatch.setenv("USHER_KAFKA_BOOTSTRAP_SERVERS", "a:1")
    monkeypatch.setenv("USHER_S3_BUCKET", "a")
    monkeypatch.setenv("USHER_S3_BUCKET_FILE", str(tmp_path / "bucket"))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert mistakes(caught) == {"USHER_S3_BUCKET": "set either USHER_S3_BUCKET or USHER_S3_BUCKET_FILE, not both"}


def test_the_local_stack_is_found_from_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack_at(tmp_path)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    settings = load_settings()
    assert settings.kafka_bootstrap_servers == "127.0.0.1:19092"
    assert settings.object_notifications == (
        NotificationSource(kind="sqs", name="http://127.0.0.1:19000/123456789012/usher-objects"),
    )
    counts = [settings.partitions(name) for name in ("control", "membership", "intake", "deliveries")]
    assert counts == [2, 4, 2, 2]
    assert (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]) == ("stack", "stack-secret")


def test_the_environment_comes_before_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack_at(tmp_path)
    monkeypatch.setenv("USHER_KAFKA_BOOTSTRAP_SERVERS", "mine:9092")
    monkeypatch.setenv("USHER_TOPIC_PARTITIONS_CONTROL", "5")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    settings = load_settings()
    assert settings.kafka_bootstrap_servers == "mine:9092"
    assert settings.topic_partitions_control == 5
    assert settings.s3_bucket == "usher"
    assert os.environ["AWS_ACCESS_KEY_ID"] == "mine"
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ, "half of ours and half of theirs is neither"


def test_the_stack_lends_its_credentials_to_its_own_s3_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack_at(tmp_path)
    monkeypatch.setenv("USHER_S3_ENDPOINT_URL", "https://s3.example.com")
    load_settings()
    assert "AWS_ACCESS_KEY_ID" not in os.environ


def test_a_damaged_stack_file_is_named(tmp_path: Path) -> None:
    stack_at(tmp_path)
    (tmp_path / ".usher" / "stack.json").write_text("{")
    with pytest.raises(SettingsError, match=r"stack\.json"):
        load_settings()


def test_what_stack_up_writes_is_what_is_read(tmp_path: Path) -> None:
    """The two sides share no code; this holds them together."""
    from deploy.local.state import StackState, settings_of, write_state

    (tmp_path / ".usher").mkdir()
    state = StackState(**{name: value for name, value in STACK.items() if name != "processes"})  # type: ignore[arg-type]  # the values are text
    write_state(tmp_path, state)
    found = load_settings()
    told = settings_of(state)
    for name, text in told.items():
        if name.startswith("USHER_") and name != "USHER_OBJECT_NOTIFICATIONS":
            assert str(getattr(found, name.removeprefix("USHER_").lower())) == text, name


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_TOPIC_PREFX", "x")
    monkeypatch.setenv("USHER_S3_BUCKET", "x")
    monkeypatch.setenv("USHER_KAFKA_SASL_PASSWORD_FILE", "x")
    monkeypatch.setenv("USHER_SECRET_HOOK", "x")
    assert unknown_variables(Settings(kafka_bootstrap_servers="a:1")) == ["USHER_TOPIC_PREFX"]
    own = Settings(kafka_bootstrap_servers="a:1", secrets_prefix="OWN_")
    assert unknown_variables(own) == ["USHER_SECRET_HOOK", "USHER_TOPIC_PREFX"]


@pytest.mark.parametrize("prefix", ["", "U", "USHER_", "USHER_KAFKA_SASL_", "USHER_S3_", "A B_", "9_"])
def test_a_prefix_of_secrets_that_would_hand_out_our_own_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="secrets_prefix"):
        Settings(kafka_bootstrap_servers="a:1", secrets_prefix=prefix)


@pytest.mark.parametrize("folder", ["", "/", "secrets", "/etc/", "/etc//usher"])
def test_the_folder_of_secrets_is_an_absolute_path(folder: str) -> None:
    with pytest.raises(ValueError, match="secrets_folder"):
        Settings(kafka_bootstrap_servers="a:1", secrets_folder=folder)


def test_commands_by_a_topic_may_be_answered_on_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("USHER_COMMAND_TOPICS", f"{COMMANDS}=operator,crm.in=crm=crm.out,open.in==open.out,plain.in")

    read = [(one.topic, one.principal, one.replies) for one in load_settings().command_topics]

    assert read == [
        (COMMANDS, "operator", REPLIES),
        ("crm.in", "crm", "crm.out"),
        ("open.in", None, "open.out"),
        ("plain.in", None, REPLIES),
    ]


@pytest.mark.parametrize(
    "value", ["a=b=c=d", "a=", "a=b=", f"a=b={IMPORTS}", "a=b=a", "a=b,a=c", IMPORTS, f"{COMMANDS}=operator=mine"]
)
def test_topics_of_commands_and_replies_must_be_their_own(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("USHER_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("USHER_COMMAND_TOPICS", value)
    with pytest.raises(SettingsError, match="USHER_COMMAND_TOPICS"):
        load_settings()
