"""The headers of row batches: the same both ways, and nonsense is a ValueError."""

import pytest

from contracts.messages.steps import RowsHeader
from services.domain.rows import read_rows_header, write_rows_header

SAID = RowsHeader(space_id="acme", import_id="imp_1", reading_id="r1", sequence=7, id_type="kuid")


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
