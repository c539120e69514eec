"""The state file is written whole, read back as it was, and says what a service must be told."""

from pathlib import Path

import msgspec
import pytest

from deploy.local.state import (
    Layout,
    Process,
    StackError,
    StackState,
    forget_state,
    make_private_folder,
    read_state,
    settings_of,
    write_state,
)

STATE = StackState(
    kafka_bootstrap_servers="127.0.0.1:20001",
    s3_endpoint_url="http://127.0.0.1:20002",
    sqs_endpoint_url="http://127.0.0.1:20002",
    s3_region="us-east-1",
    s3_bucket="usher",
    object_notifications="sqs:http://127.0.0.1:20002/123456789012/usher-objects",
    state_url="s3://usher-state/membership",
    aws_access_key_id="usher-local",
    aws_secret_access_key="usher-local",
    processes=(Process(name="kafka", pid=7, started="boot/1"),),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_private_folder(Layout(tmp_path).folder)
    return tmp_path


def test_a_state_is_read_back_as_it_was_written_and_gone_when_forgotten(root: Path) -> None:
    assert read_state(root) is None
    write_state(root, STATE)
    assert read_state(root) == STATE
    forget_state(root)
    assert read_state(root) is None
    forget_state(root)


def test_only_the_owner_can_look_into_the_folder(root: Path) -> None:
    assert Layout(root).folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kafka_bootstrap_servers": 1}'])
def test_an_unreadable_state_names_the_file(root: Path, content: str) -> None:
    Layout(root).state.write_text(content)
    with pytest.raises(StackError, match=r"stack\.json is not readable"):
        read_state(root)


def test_a_process_is_found_by_its_name() -> None:
    assert STATE.process("kafka") == STATE.processes[0]
    assert STATE.process("s3") is None


def test_the_settings_name_every_address_and_the_test_credentials() -> None:
    assert settings_of(STATE) == {
        "USHER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:20001",
        "USHER_S3_ENDPOINT_URL": "http://127.0.0.1:20002",
        "USHER_SQS_ENDPOINT_URL": "http://127.0.0.1:20002",
        "USHER_S3_REGION": "us-east-1",
        "USHER_S3_BUCKET": "usher",
        "USHER_OBJECT_NOTIFICATIONS": "sqs:http://127.0.0.1:20002/123456789012/usher-objects",
        "USHER_STATE_URL": "s3://usher-state/membership",
        "AWS_ACCESS_KEY_ID": "usher-local",
        "AWS_SECRET_ACCESS_KEY": "usher-local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def test_what_a_given_s3_did_not_tell_is_left_to_the_callers_own_environment() -> None:
    given = msgspec.structs.replace(
        STATE, sqs_endpoint_url="", object_notifications="", aws_access_key_id="", aws_secret_access_key=""
    )
    assert settings_of(given).keys() == settings_of(STATE).keys() - {
        "USHER_SQS_ENDPOINT_URL",
        "USHER_OBJECT_NOTIFICATIONS",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    }
