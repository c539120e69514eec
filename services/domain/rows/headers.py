"""The headers of a `rows` record of `usher.membership.input.v1`: written by intake, read by membership."""

from collections.abc import Sequence
from typing import Final

from contracts.codec import Headers, header
from contracts.messages.steps import RowsHeader

_FIELDS: Final = {
    "space_id": "ce_spaceid",
    "import_id": "usher-import",
    "reading_id": "usher-reading",
    "sequence": "usher-sequence",
    "id_type": "usher-id-type",
}


def write_rows_header(said: RowsHeader) -> Headers:
    """The headers of a record whose value is `encode_rows` of a batch."""
    written = ((name, str(getattr(said, field)).encode()) for field, name in _FIELDS.items())
    return (("ce_type", b"rows"), *written)


def read_rows_header(headers: Sequence[tuple[str, bytes]]) -> RowsHeader:
    """What the headers say; raises ValueError where one is missing or makes no sense."""
    found = {field: header(headers, name) for field, name in _FIELDS.items()}
    missing = [_FIELDS[field] for field, value in found.items() if not value]
    sequence = found["sequence"] or ""
    if missing or not (sequence.isascii() and sequence.isdigit() and len(sequence) < 19):
        raise ValueError(f"rows without {', '.join(missing)}" if missing else "usher-sequence is not a number")
    return RowsHeader(
        space_id=found["space_id"] or "",
        import_id=found["import_id"] or "",
        reading_id=found["reading_id"] or "",
        sequence=int(sequence),
        id_type=found["id_type"] or "",
    )
