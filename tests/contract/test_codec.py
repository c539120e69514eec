"""CloudEvents in both modes, and bytes that are none: every one of them ends in an event or in a declared code."""

import json
import subprocess
import sys
import time

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import codec, codes
from contracts.codec import CloudEvent, Unreadable, event_headers, header, read_event, reject_duplicate_keys
from contracts.codes import Code

HEADERS: codec.Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"c-1"),
    ("ce_source", b"/crm"),
    ("ce_type", b"members.add"),
    ("ce_spaceid", b"acme"),
)


def structured(data: bytes = b"{}", /, **attributes: object) -> bytes:
    """A whole event in structured mode around `data` as it is; an attribute given as None is left out."""
    said = {"specversion": "1.0", "id": "c-1", "source": "/crm", "type": "members.add", "spaceid": "acme"} | attributes
    return json.dumps({k: v for k, v in said.items() if v is not None}).encode()[:-1] + b', "data": ' + data + b"}"


def without(name: str) -> codec.Headers:
    return tuple(one for one in HEADERS if one[0] != name)


def code_of(headers: codec.Headers, value: bytes | None) -> Code:
    with pytest.raises(Unreadable) as caught:
        read_event(headers, value)
    assert len(caught.value.detail) <= 500
    return caught.value.code


class TestModes:
    EVENT = CloudEvent(id="c-1", source="/crm", type="members.add", space_id="acme", data=b'{"items": []}')

    def test_binary(self) -> None:
        assert read_event(HEADERS, b'{"items": []}') == self.EVENT

    @pytest.mark.parametrize(
        "headers",
        [
            (("content-type", b"application/cloudevents+json"),),
            (("content-type", b"Application/CloudEvents+JSON; charset=utf-8"),),
            (("content-type", b"application/cloudevents+json"), ("ce_id", b"other")),  # the content type decides
            (("content-type", b"text/plain"),),
            (("content-type", b"\xff"),),
            (),  # people send with tools that set no header
        ],
    )
    def test_structured(self, headers: codec.Headers) -> None:
        assert read_event(headers, structured(b'{"items": []}')) == self.EVENT

    def test_both_modes_say_the_same_of_every_attribute(self) -> None:
        said = {"subject": "aud_1", "time": "2026-01-02T00:00:00.000Z", "traceparent": "00-a-b-01"}
        headers = HEADERS + tuple((f"ce_{name}", text.encode()) for name, text in said.items())
        read = read_event(headers, b"{}")
        assert read == read_event((), structured(**said))
        assert (read.subject, read.time, read.trace_parent) == tuple(said.values())

    def test_a_trace_parent_may_stand_in_the_plain_header_of_w3c(self) -> None:
        assert read_event((*HEADERS, ("traceparent", b"00-a-b-01")), b"{}").trace_parent == "00-a-b-01"

    def test_unknown_attributes_and_headers_are_ignored(self) -> None:
        assert read_event((), structured(colour="red")) == read_event((*HEADERS, ("x", b"\xff")), b"{}")

    def test_what_event_headers_writes_is_read_back(self) -> None:
        headers = event_headers(
            id="é", source="/s", type="t", space_id="acme", time="T", subject="s", extensions=[("correlationid", "c")]
        )
        assert read_event(headers, b"1") == CloudEvent(
            id="é", source="/s", type="t", space_id="acme", time="T", subject="s", data=b"1"
        )
        assert header(headers, "ce_correlationid") == "c"

    def test_the_first_of_repeated_headers_is_taken(self) -> None:
        assert read_event((*HEADERS, ("ce_id", b"second")), b"{}").id == "c-1"


WRONG: list[tuple[str, codec.Headers, bytes | None, Code]] = [
    ("no value", HEADERS, None, codes.NOT_A_CLOUDEVENT),
    ("no value, no headers", (), None, codes.NOT_A_CLOUDEVENT),
    ("an empty value", HEADERS, b"", codes.COMMAND_NOT_JSON),
    ("an empty value, no headers", (), b"", codes.COMMAND_NOT_JSON),
    ("no JSON", (), b"hello", codes.COMMAND_NOT_JSON),
    ("more after the JSON", HEADERS, b"{} {}", codes.COMMAND_NOT_JSON),
    ("no object", (), b"[]", codes.NOT_A_CLOUDEVENT),
    ("JSON null", (), b"null", codes.NOT_A_CLOUDEVENT),
    ("no attributes", (), b"{}", codes.NOT_A_CLOUDEVENT),
    ("an older specversion", (), structured(specversion="0.3"), codes.NOT_A_CLOUDEVENT),
    ("no specversion header", without("ce_specversion"), b"{}", codes.NOT_A_CLOUDEVENT),
    ("an attribute of another type", (), structured(id=7), codes.NOT_A_CLOUDEVENT),
    ("no id", (), structured(id=None), codes.COMMAND_ID_MISSING),
    ("an empty id", (), structured(id=""), codes.COMMAND_ID_MISSING),
    ("no source", (), structured(source=None), codes.COMMAND_ID_MISSING),
    ("no id header", without("ce_id"), b"{}", codes.COMMAND_ID_MISSING),
    ("an id header that is not UTF-8", (*without("ce_id"), ("ce_id", b"\xff")), b"{}", codes.COMMAND_ID_MISSING),
    ("a key twice", HEADERS, b'{"a": 1, "a": 1}', codes.DUPLICATE_JSON_KEY),
    ("an attribute twice", (), structured()[:-1] + b', "id": "c-2"}', codes.DUPLICATE_JSON_KEY),
    ("a key twice, spelt differently", HEADERS, rb'{"a": 1, "\u0061": 1}', codes.DUPLICATE_JSON_KEY),
    ("a key twice, deep inside", (), structured(b'[{"x": [{"a": 1, "b": 2, "a": 3}]}]'), codes.DUPLICATE_JSON_KEY),
    ("NaN", HEADERS, b"[NaN]", codes.COMMAND_NOT_JSON),
    ("-Infinity", (), structured(b"-Infinity"), codes.COMMAND_NOT_JSON),
    ("nested 100,000 deep", HEADERS, b"[" * 100_000 + b"]" * 100_000, codes.COMMAND_NOT_JSON),
    ("nested 100,000 deep and never closed", (), structured(b'{"a":' * 100_000), codes.COMMAND_NOT_JSON),
    ("an integer of 5,000 digits", HEADERS, b"9" * 5000, codes.COMMAND_NOT_JSON),
    ("bytes that are not UTF-8", HEADERS, b'"\xff"', codes.COMMAND_NOT_JSON),
    ("an encoded surrogate", (), structured(b'"\xed\xa0\x80"'), codes.COMMAND_NOT_JSON),
    ("UTF-16", HEADERS, "{}".encode("utf-16"), codes.COMMAND_NOT_JSON),
    ("a byte order mark", (), b"\xef\xbb\xbf" + structured(), codes.COMMAND_NOT_JSON),
    ("a raw control character in a string", HEADERS, b'"\x00"', codes.COMMAND_NOT_JSON),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "value", "code"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_no_event_has_a_declared_code(headers: codec.Headers, value: bytes | None, code: Code) -> None:
    assert code_of(headers, value) == code


@pytest.mark.parametrize("headers", [(), HEADERS])
def test_a_string_of_2_mb_is_read(headers: codec.Headers) -> None:
    text = b'"' + b"x" * 2_000_000 + b'"'
    assert len(read_event(headers, text if headers else structured(text)).data) == 2_000_002


def test_the_twice_named_among_100_000_keys_is_found_at_once() -> None:
    value = json.dumps({f"k{number}": 1 for number in range(100_000)}).encode()[:-1] + b', "k99999": 1}'
    began = time.process_time()
    with pytest.raises(Unreadable, match="k99999"):
        reject_duplicate_keys(value)
    assert time.process_time() - began < 5  # the square of 100,000 takes minutes


def test_a_long_key_is_cut_in_the_detail() -> None:
    key = b'"' + b"k" * 10_000 + b'"'
    assert code_of(HEADERS, b"{" + key + b":1," + key + b":1}") == codes.DUPLICATE_JSON_KEY


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    headers=st.lists(st.tuples(st.sampled_from([name for name, _ in HEADERS]), st.binary(max_size=4)), max_size=6).map(
        tuple
    ),
    value=st.none() | st.binary(max_size=40) | JSON_LIKE.map(msgspec.json.encode),
)
@example(headers=(), value=structured(id="\ud800"))
def test_nothing_but_unreadable_escapes(headers: codec.Headers, value: bytes | None) -> None:
    try:
        event = read_event(headers, value)
    except Unreadable:
        return
    assert event.id
    assert event.source


class TestDecode:
    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1e999", b'"\xff"', b"[" * 100_000, b'{"a": "text"}'])
    def test_what_has_another_form_is_command_invalid(self, data: bytes) -> None:
        with pytest.raises(Unreadable) as caught:
            codec.decode(data, dict[str, int])
        assert caught.value.code == codes.COMMAND_INVALID

    def test_what_encode_writes_is_decoded(self) -> None:
        assert codec.decode(codec.encode({"a": 1}), dict[str, int]) == {"a": 1}


def test_threads_may_decode_a_kind_for_the_first_time_at_once() -> None:
    """In a process of its own: where it goes wrong there is no exception, but a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", _AT_ONCE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


_AT_ONCE = """
import sys, threading, msgspec
from contracts import codec

def in_each_thread(begin, kind):
    begin.wait()
    codec.decode(b'{"type":"b","x":"1"}', kind)
    codec.decode(b'{"type":"c","x":"1","b":{"type":"b","x":"2","z":["1"]}}', kind)

sys.setswitchinterval(1e-6)
for _ in range(60):
    class B(msgspec.Struct, tag="b", kw_only=True):
        x: str
        z: list[str] = []
        w: dict[str, int] = {}
    class C(msgspec.Struct, tag="c", kw_only=True):
        b: B
        x: str
    begin = threading.Barrier(4)
    threads = [threading.Thread(target=in_each_thread, args=(begin, B | C)) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print("done")
"""
