"""The headers of rows and of stream rows: the same both ways, and nonsense is a ValueError."""

import msgspec
import pytest

from contracts.messages.steps import RowsHeader, StreamRowsHeader
from services.domain.rows import read_rows_header, read_stream_header, write_rows_header, write_stream_header

SAID = RowsHeader(space_id="acme", import_id="imp_1", reading_id="r1", sequence=7, id_type="kuid")
STREAM = StreamRowsHeader(
    space_id="acme",
    feed_id="feed_1",
    topic="shop.events",
    partition=0,
    first_offset=7,
    last_offset=(1 << 59),
    id_type="kuid",
    at_ms=1_767_323_045_678,
)


def test_both_ways() -> None:
    written = write_rows_header(SAID)
    assert ("ce_type", b"rows") in written
    assert read_rows_header(written) == SAID


@pytest.mark.parametrize("name", ["ce_spaceid", "usher-import", "usher-reading", "usher-sequence", "usher-id-type"])
def test_each_header_is_needed(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        read_rows_header([pair for pair in write_rows_header(SAID) if pair[0] != name])


@pytest.mark.parametrize("sequence", ["-1", "x", "1.0", "²", "9" * 30])
def test_a_sequence_is_a_number(sequence: str) -> None:
    others = [pair for pair in write_rows_header(SAID) if pair[0] != "usher-sequence"]
    with pytest.raises(ValueError, match="usher-sequence"):
        read_rows_header([*others, ("usher-sequence", sequence.encode())])


@pytest.mark.parametrize(
    "said", [STREAM, msgspec.structs.replace(STREAM, at_ms=None), msgspec.structs.replace(STREAM, identities_max=4)]
)
def test_of_streams_both_ways(said: StreamRowsHeader) -> None:
    written = write_stream_header(said)
    assert ("ce_type", b"stream-rows") in written
    assert read_stream_header(written) == said


@pytest.mark.parametrize(
    "name", [name for name, _ in write_stream_header(STREAM) if name not in ("ce_type", "ce_time")]
)
def test_each_header_of_a_stream_is_needed(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        read_stream_header([pair for pair in write_stream_header(STREAM) if pair[0] != name])


@pytest.mark.parametrize(
    ("name", "text"), [("usher-partition", "-1"), ("usher-first-offset", "x"), ("usher-last-offset", "9" * 19), ("ce_time", "soon")]
)  # fmt: skip
def test_numbers_and_times_of_a_stream_are_such(name: str, text: str) -> None:
    others = [pair for pair in write_stream_header(STREAM) if pair[0] != name]
    with pytest.raises(ValueError, match=name):
        read_stream_header([*others, (name, text.encode())])
