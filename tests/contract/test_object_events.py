"""Object notifications: the corpus of every dialect, keys, times and sequencers.

Faults 30-32, 36 and 37 of streaming-practice.md §2.3, as far as the message decides them.
"""

import copy
import json
from typing import Literal
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.object_events import RECORDS_MAX, SNS_ENVELOPES_MAX, Ignored, read_notification, sequencer_order
from tests.contract.notification_corpus import (
    AT_MS,
    AWKWARD_KEYS,
    AWS_PUT,
    CORPUS,
    EXPECTED,
    NOT_JSON,
    RECORD_INVALID,
    UNKNOWN_DIALECT,
    not_created,
    only_created,
    outcome,
    read,
    sample,
    with_key,
    with_member,
)


class TestCorpus:
    def test_every_sample_has_an_expectation_and_every_expectation_a_sample(self) -> None:
        assert {path.stem for path in CORPUS.iterdir()} == set(EXPECTED)

    @pytest.mark.parametrize("name", EXPECTED)
    def test_sample_reads_as_expected(self, name: str) -> None:
        assert outcome(read_notification((CORPUS / f"{name}.json").read_bytes())) == EXPECTED[name]

    def test_a_message_of_1000_records_gives_1000_results_in_order(self) -> None:
        message = sample("aws-put")
        [record] = message["Records"]
        message["Records"] = [copy.deepcopy(record) for _ in range(1000)]
        for n, each in enumerate(message["Records"]):
            each["s3"]["object"]["key"] = f"in/{n}.csv"
        assert [only_created([r]).key for r in read(message)] == [f"in/{n}.csv" for n in range(1000)]

    def test_more_records_than_any_store_sends_are_one_failure(self) -> None:
        for message in ([0] * (RECORDS_MAX + 1), {"Records": [0] * (RECORDS_MAX + 1)}):
            assert outcome(read(message)) == [RECORD_INVALID]
        assert len(read([0] * RECORDS_MAX)) == RECORDS_MAX

    def test_an_empty_bare_array_is_empty_records(self) -> None:
        assert read([]) == [Ignored("empty-records", "")]

    def test_sns_envelopes_are_opened_up_to_the_limit(self) -> None:
        message = sample("aws-put")
        for _ in range(SNS_ENVELOPES_MAX):
            message = {"Type": "Notification", "Message": json.dumps(message)}
        assert read(message) == [AWS_PUT]
        assert outcome(read({"Type": "Notification", "Message": json.dumps(message)})) == [UNKNOWN_DIALECT]

    def test_an_sns_message_that_is_text_is_not_json(self) -> None:
        assert outcome(read({"Type": "Notification", "Message": "The queue is full"})) == [NOT_JSON]

    @pytest.mark.parametrize("action", ["PutTagging", "DeleteTagging", "PutRetention", "PutLegalHold"])
    def test_what_leaves_the_content_unchanged_is_ignored(self, action: str) -> None:
        message = sample("minio-put")
        message["Records"][0]["eventName"] = f"s3:ObjectCreated:{action}"
        assert read(message) == [not_created(f"ObjectCreated:{action}")]


KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=1024).filter(lambda key: len(key.encode()) <= 1024)


class TestKeys:
    @pytest.mark.parametrize("key", AWKWARD_KEYS)
    def test_awkward_keys_survive_every_dialect(self, key: str) -> None:
        self.assert_survives(key)

    @settings(deadline=None)  # the machine is shared
    @given(KEYS)
    def test_any_key_survives_every_dialect(self, key: str) -> None:
        self.assert_survives(key)

    def assert_survives(self, key: str) -> None:
        """As each store writes it, `key` is the first reading, or with doubt the second."""
        for name in ("versitygw-array", "versitygw-records", "eventbridge-put", "ceph-put"):
            assert only_created(read(with_key(name, key))).key == key
        for name, written in (
            ("aws-put", quote(key, safe="/ ").replace(" ", "+")),
            ("minio-put", quote_plus(key)),
            ("moto-put", quote_plus(key)),
            ("storagegrid-put", quote_plus(key)),
        ):
            assert only_created(read(with_key(name, written))).key == key
            assert only_created(read(with_key(name, written), "url")).key == key
        for name in ("aws-put", "s3-compatible-put", "storagegrid-put"):  # an imitator who does not encode
            imitated = only_created(read(with_key(name, key)))
            assert key in {imitated.key, imitated.key_alternative}
            assert only_created(read(with_key(name, key), "raw")).key == key

    @pytest.mark.parametrize(
        ("name", "sent", "key", "alternative"),
        [
            ("aws-put", "a+b", "a b", "a+b"),
            ("aws-put", "a%2Bb", "a+b", "a%2Bb"),
            ("aws-put", "a%252Bb", "a%2Bb", "a%252Bb"),  # decoded once
            ("aws-put", "a%2bb", "a+b", "a%2bb"),
            ("aws-put", "a%20b", "a b", "a%20b"),
            ("aws-put", "plain/key", "plain/key", None),
            ("aws-put", "a%b", "a%b", None),  # nobody's encoder wrote this
            ("aws-put", "a%ff", "a%ff", None),  # decodes to no UTF-8
            ("aws-put", "%ED%A0%80", "%ED%A0%80", None),  # a surrogate
            ("minio-put", "a%2Fb+c", "a/b c", None),
            ("eventbridge-put", "a%2Fb+c", "a%2Fb+c", None),
            ("versitygw-array", "a%2Fb+c", "a%2Fb+c", None),
            ("ceph-put", "a%2Fb+c", "a%2Fb+c", "a/b c"),
            ("ceph-put", "a%", "a%", None),
            ("ceph-put", "%C3%A9" * 300, "é" * 300, None),  # 1,800 bytes as sent are no key
            ("moto-put", "a%2Fb+c", "a/b c", "a%2Fb+c"),
        ],
    )
    def test_readings(self, name: str, sent: str, key: str, alternative: str | None) -> None:
        result = only_created(read(with_key(name, sent)))
        assert (result.key, result.key_alternative) == (key, alternative)

    @pytest.mark.parametrize(
        ("key_encoding", "sent", "key"), [("url", "a%2Fb+c", "a/b c"), ("raw", "a%2Fb+c", "a%2Fb+c")]
    )
    @pytest.mark.parametrize("name", ["aws-put", "ceph-put", "eventbridge-put", "minio-put", "versitygw-array"])
    def test_the_operator_has_the_last_word(
        self, name: str, key_encoding: Literal["url", "raw"], sent: str, key: str
    ) -> None:
        result = only_created(read(with_key(name, sent), key_encoding))
        assert (result.key, result.key_alternative) == (key, None)

    @pytest.mark.parametrize("sent", ["100%", "%ff", ""])
    def test_what_cannot_be_decoded_is_no_second_guess(self, sent: str) -> None:
        assert outcome(read(with_key("minio-put", sent))) == [RECORD_INVALID]
        assert outcome(read(with_key("aws-put", sent), "url")) == [RECORD_INVALID]

    @pytest.mark.parametrize("key", ["", "k" * 1025, "é" * 513, "in/\ud800.csv"])
    @pytest.mark.parametrize("name", ["aws-put", "ceph-put", "eventbridge-put", "minio-put", "versitygw-array"])
    def test_no_key_is_a_rejection(self, name: str, key: str) -> None:
        assert outcome(read(with_key(name, key))) == [RECORD_INVALID]


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-11-23T05:06:07Z", AT_MS - 89),
        ("2026-11-23T05:06:07.0Z", AT_MS - 89),
        ("2026-11-23T05:06:07.089Z", AT_MS),
        ("2026-11-23T05:06:07.0899999Z", AT_MS),
        ("2026-11-23T05:06:07.089999999Z", AT_MS),
        ("2026-11-23T06:06:07.089+01:00", AT_MS),
        ("2026-11-22T19:06:07.089-10:00", AT_MS),
        ("2026-13-45T05:06:07Z", None),
        ("2026-11-23T25:06:07Z", None),
        ("2026-11-23T05:06:07.0123456789Z", None),
        ("", None),
    ],
)
def test_event_times(text: str, at_ms: int | None) -> None:
    assert only_created(read(with_member("eventTime", text))).event_time_ms == at_ms


class TestSequencers:
    HEX = st.text("0123456789abcdefABCDEF", min_size=1, max_size=32)

    @pytest.mark.parametrize(
        ("a", "b", "order"),
        [
            ("0055AED6DCD90281E5", "0055AED6DCD90281E6", -1),
            ("0055AED6DCD90281E6", "0055AED6DCD90281E5", 1),
            ("0055AED6DCD90281E5", "0055aed6dcd90281e5", 0),
            ("1A", "1A00", 0),
            ("1A", "1A01", -1),
            ("2", "1FFFFF", 1),  # not as numbers
            ("B", "a", 1),
        ],
    )
    def test_table(self, a: str, b: str, order: int) -> None:
        assert sequencer_order(a, b) == order

    @settings(deadline=None)  # the machine is shared
    @given(HEX, HEX)
    def test_is_the_order_of_the_fractions_that_the_digits_write(self, a: str, b: str) -> None:
        left, right = (int(text, 16) * 16 ** (32 - len(text)) for text in (a, b))
        assert sequencer_order(a, b) == (left > right) - (left < right)

    @pytest.mark.parametrize(
        ("name", "trusted"),
        [
            ("aws-put", True),
            ("eventbridge-put", True),
            ("storagegrid-put", True),
            ("ceph-put", False),
            ("minio-put", False),
            ("moto-eventbridge", False),
            ("moto-put", False),
            ("s3-compatible-put", False),
            ("versitygw-array", False),
            ("versitygw-records", False),
        ],
    )
    def test_only_those_that_order_are_passed_on(self, name: str, trusted: bool) -> None:
        assert (only_created(read(sample(name))).sequencer is not None) == trusted

    @pytest.mark.parametrize("sequencer", ["", "1", "xyz", "0x1A", "F" * 65])
    def test_what_is_not_hex_is_not_passed_on(self, sequencer: str) -> None:
        result = only_created(read(with_member("s3.object.sequencer", sequencer)))
        assert result.sequencer == (sequencer if sequencer == "1" else None)
