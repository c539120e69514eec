"""Object notifications of a wrong form: a declared code for each, good neighbours unharmed, no exception for any bytes."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import codes
from contracts.object_events import Notification, ObjectCreated, Unreadable, read_notification
from tests.contract.notification_corpus import (
    AWS_PUT,
    CORPUS,
    EXPECTED,
    NOT_JSON,
    RECORD_INVALID,
    UNKNOWN_DIALECT,
    only_created,
    outcome,
    read,
    sample,
    with_member,
)

_WRONG_VALUES: dict[str, list[object]] = {
    "eventName": [None, 1, [], {}, "ObjectCreated:\n", "é", "x" * 101, "\ud800"],
    "eventSource": [None, 1],
    "eventVersion": [None, 2.6],
    "s3": [None, 1, "", [], {}],
    "s3.bucket": [None, "audience-drops", []],
    "s3.bucket.name": [None, 1, "", "a/b", "../x", "a b", "x\n", "é", "x" * 256, "\ud800"],
    "s3.object": [None, "key", []],
    "s3.object.key": [None, 1, ["k"], {"k": 1}],
    "s3.object.size": ["1024", -1, 1.5, 2**63, 10**400, float("1e308"), True, [1]],
    "s3.object.eTag": [1, ["x"], 'a"\r\nX-Injected: 1', "é", "x" * 1025],
    "s3.object.versionId": [1, "\ud800", "a b"],
    "s3.object.sequencer": [1, [], {}],
}
WRONG = [(path, value) for path, values in _WRONG_VALUES.items() for value in values]


class TestWrongInput:
    @pytest.mark.parametrize(("path", "value"), WRONG)
    def test_a_member_of_a_wrong_form_spoils_its_record_only(self, path: str, value: object) -> None:
        message = with_member(path, value)
        message["Records"].append(sample("aws-put")["Records"][0])
        assert outcome(read(message)) == [RECORD_INVALID, AWS_PUT]

    @pytest.mark.parametrize(
        ("path", "value"),
        [("eventTime", 7), ("eventTime", "noon"), ("userIdentity", 7), ("requestParameters", []), ("awsRegion", {})],
    )
    def test_what_is_not_needed_to_find_the_object_can_have_any_form(self, path: str, value: object) -> None:
        result = only_created(read(with_member(path, value)))
        assert (result.key, result.version_id, result.dialect) == (AWS_PUT.key, AWS_PUT.version_id, "aws")

    @pytest.mark.parametrize(
        "body",
        [
            b"", b" ", b"\x00", b"\xff\xfe", b"{", b"{}x", b"{'Records':[]}", b"NaN", b'{"Records":[Infinity]}',
            b"\xef\xbb\xbf{}", '{"Records":[]}'.encode("utf-16"), b'"\xe9"', b'"tab\there"', b"[" * 100_000,
            b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"Records":[' * 50_000,
            b'{"Records":[],"Records":[]}',
        ],
    )  # fmt: skip
    def test_not_json(self, body: bytes) -> None:
        assert outcome(read_notification(body)) == [NOT_JSON]

    @pytest.mark.parametrize(
        "body",
        [
            b"null", b"true", b"0", b"9" * 100_000, b"-" + b"9" * 5000, b"1e999999", b'""', b'"Records"', b"{}",
            b'{"Records":{}}', b'{"Records":null}', b'{"Records":"[]"}', b'{"records":[]}', b'{"Event":"s3:Other"}',
            b'{"Type":"Notification","Message":{}}', b'{"Type":"Notification"}', b'{"Message":"{}"}',
            b'{"bucket":"b","key":"k"}',
        ],
    )  # fmt: skip
    def test_unknown_dialect(self, body: bytes) -> None:
        assert outcome(read_notification(body)) == [UNKNOWN_DIALECT]

    @pytest.mark.parametrize("name", ["aws-put", "eventbridge-put", "versitygw-array"])
    def test_a_repeated_member_is_not_guessed_but_spoils_its_record_only(self, name: str) -> None:
        text = (CORPUS / f"{name}.json").read_text()
        twice = text.replace('"key":', '"key": "in/other.csv", "key":')
        assert twice != text
        assert outcome(read_notification(twice.encode())) == [RECORD_INVALID]

        record = json.dumps(sample("aws-put")["Records"][0])
        unread = record.replace('"sourceIPAddress":', '"sourceIPAddress": "", "sourceIPAddress":')
        broken = record.replace('"eventName":', '"eventName": "ObjectRemoved:Delete", "eventName":')
        message = f'{{"Records":[{broken},{record},{unread}]}}'
        assert outcome(read_notification(message.encode())) == [RECORD_INVALID, AWS_PUT, AWS_PUT]

    @pytest.mark.parametrize("member", ["detail-type", "source", "detail"])
    def test_an_eventbridge_event_of_a_wrong_form(self, member: str) -> None:
        message = sample("eventbridge-put")
        message[member] = 1
        assert outcome(read(message)) == [RECORD_INVALID]

    def test_details_are_bounded_and_name_no_object(self) -> None:
        for path, value in WRONG:
            [result] = read(with_member(path, value))
            assert isinstance(result, Unreadable)
            assert len(result.detail) <= 200
            assert "2026-11-23" not in result.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON tree."""
    if isinstance(node, dict | list):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield node, key
            yield from places(child)


def assert_sound(results: list[Notification]) -> None:
    """What holds for the results of any bytes whatever."""
    assert results
    msgspec.json.encode(results)  # no lone surrogates: every result can be logged and sent on
    for result in results:
        if isinstance(result, Unreadable):
            assert result.code in codes.ALL
            assert len(result.detail) <= 200
        elif isinstance(result, ObjectCreated):
            for key in (result.key, result.key_alternative):
                assert key is None or 1 <= len(key.encode()) <= 1024
            assert result.key != result.key_alternative
            assert result.bucket
            assert result.version_id not in ("", "null")
            assert result.etag is None or result.etag.isprintable()
            assert result.size_bytes is None or 0 <= result.size_bytes < 2**63


class TestAnyBytes:
    @settings(deadline=None)  # the machine is shared
    @given(st.binary())
    def test_random_bytes(self, body: bytes) -> None:
        assert_sound(read_notification(body))

    @settings(deadline=None)  # the machine is shared
    @given(JSON)
    def test_random_json(self, message: object) -> None:
        assert_sound(read(message))

    @settings(deadline=None)  # the machine is shared
    @given(st.data(), st.sampled_from(sorted(EXPECTED)), st.sampled_from(["auto", "url", "raw"]))
    def test_samples_with_one_member_replaced_or_gone(
        self, data: st.DataObject, name: str, key_encoding: Literal["auto", "url", "raw"]
    ) -> None:
        message = sample(name)
        container, key = data.draw(st.sampled_from(list(places(message))))
        if data.draw(st.booleans()):
            del container[key]
        else:
            container[key] = data.draw(JSON)
        assert_sound(read(message, key_encoding))

    @settings(deadline=None)  # the machine is shared
    @given(st.data(), st.sampled_from(sorted(EXPECTED)))
    def test_samples_with_bytes_replaced_or_cut(self, data: st.DataObject, name: str) -> None:
        body = bytearray((CORPUS / f"{name}.json").read_bytes())
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
        assert_sound(read_notification(bytes(body)))
