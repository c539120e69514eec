"""A dead letter is the original, byte for byte, and says why and whence."""

from contracts import codes
from contracts.catalog import COMMANDS, DEAD_LETTERS
from contracts.records import Record
from services.runtime.dead_letters import dead_letter, dead_letter_of_message

RECORD = Record(
    topic=COMMANDS,
    partition=3,
    offset=17,
    timestamp_ms=0,
    key=b"\xff\x00key",
    value=b"\xfe not json",
    headers=(("content-type", b"text/plain"), ("content-type", b"\xff"), ("ce_id", b"c-1")),
)


def test_everything_of_the_original_is_kept() -> None:
    letter = dead_letter(RECORD, codes.COMMAND_NOT_JSON, "byte 0", service="control", attempts=2)
    assert (letter.topic, letter.key, letter.value) == (DEAD_LETTERS, RECORD.key, RECORD.value)
    assert letter.headers[: len(RECORD.headers)] == RECORD.headers
    assert dict(letter.headers[len(RECORD.headers) :]) == {
        "dlq-code": b"command-not-json",
        "dlq-detail": b"byte 0",
        "dlq-topic": COMMANDS.encode(),
        "dlq-partition": b"3",
        "dlq-offset": b"17",
        "dlq-service": b"control",
        "dlq-attempts": b"2",
    }


def test_a_letter_that_died_again_says_only_why_now() -> None:
    first = dead_letter(RECORD, codes.COMMAND_NOT_JSON, "then", service="control")
    again = Record(DEAD_LETTERS, 0, 5, 0, first.key, first.value, first.headers)
    second = dead_letter(again, codes.SPACE_UNKNOWN, "now", service="control")
    assert [text for name, text in second.headers if name == "dlq-code"] == [b"space-unknown"]
    assert second.headers[: len(RECORD.headers)] == RECORD.headers


def test_what_never_was_a_record_names_its_source() -> None:
    letter = dead_letter_of_message(
        b"body",
        codes.NOTIFICATION_NOT_JSON,
        "d" * 5000,
        source="http://queue",
        message_id="m-1",
        service="intake",
        attempts=1,
    )
    headers = dict(letter.headers)
    assert (letter.key, letter.value, headers["dlq-topic"]) == (None, b"body", b"http://queue")
    assert len(headers["dlq-detail"]) == 1000
    assert headers["dlq-offset"] == b"m-1"


def test_a_tombstone_can_die_too() -> None:
    record = Record(COMMANDS, 0, 0, 0, None, None, ())
    letter = dead_letter(record, codes.NOT_A_CLOUDEVENT, "no value", service="control")
    assert (letter.key, letter.value) == (None, None)
