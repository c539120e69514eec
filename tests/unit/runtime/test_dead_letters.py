"""A dead letter is the original, byte for byte, and says why and whence."""

import pytest

from contracts import codes
from contracts.catalog import COMMANDS, DEAD_LETTERS, topic_spec
from contracts.records import Record
from services.adapters.memory import MemoryBroker
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


@pytest.mark.parametrize("length", [16_000_000, (16 << 20) + 1, 40_000_000])
async def test_what_is_too_long_is_cut_and_says_so(length: int) -> None:
    log = MemoryBroker().connect("only")
    await log.ensure_topic(topic_spec(DEAD_LETTERS, 1))
    value = b"x" * length
    record = Record(COMMANDS, 0, 0, 0, b"acme", value, (("ce_id", b"c" * 5_000),))

    letter = dead_letter(record, codes.COMMAND_TOO_LARGE, "long", service="control")
    await (await log.producer()).send([letter])

    cut = dict(letter.headers).get("dlq-value-bytes")
    assert letter.value is not None
    if length <= 16_000_000:
        assert (letter.value, cut) == (value, None)
    else:
        assert len(letter.value) > (16 << 20) - 10_000
        assert cut == str(length).encode()


def test_headers_that_would_fill_the_letter_are_left_out() -> None:
    record = Record(COMMANDS, 0, 0, 0, b"acme", b"value", (("ce_id", b"c" * (16 << 20)),))

    letter = dead_letter(record, codes.COMMAND_TOO_LARGE, "long", service="control")

    assert letter.value == b"value"
    assert all(name.startswith("dlq-") for name, _ in letter.headers)
