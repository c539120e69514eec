"""Which objects are written: one for each activation of a batch, named by its content.

So a retry writes the same bytes under the same name, and no name ever stands for two contents (faults 61, 64).
"""

import hashlib
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from contracts.messages.delivery import Delivery
from services.connectors.base import Request, Settings
from services.connectors.files import rows
from services.connectors.grouping import grouped
from services.domain.delivery.merge import Item

_FOLDER_CHARS_MAX: Final = 400  # of the 1,024 bytes that S3 takes
_ENDING: Final = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet", "liveramp": "csv", "trade-desk-crm": "txt"}
VERIFICATION: Final = Request(
    id="_usher-verify.txt",  # a reader of the bucket takes what begins with `_` for no data
    items=(),
    body=b"usher has shown by this object that it may write here.\n",
)
_PACKED: Final = {"gzip": ".gz", "zstd": ".zst", "none": ""}


def requests(items: Sequence[Item], settings: Settings) -> list[Request]:
    """One for each activation; where the format has no column for the change or the id type, one for each of these."""
    format_ = str(settings["format"])

    def kind(item: Item) -> tuple[str, ...]:
        said = item.delivery
        return (said.activation_id, said.operation, said.id_type) if format_ in rows.PRESETS else (said.activation_id,)

    return [_request(group, format_, str(settings["compression"])) for _, group in grouped(items, kind)]


def _request(items: Sequence[Item], format_: str, compression: str) -> Request:
    body, ending = content(items, format_, compression)
    said = items[0].delivery
    folders = [folder(said), said.at[:10]]
    if format_ in rows.PRESETS:
        folders.insert(1, rows.CHANGE[said.operation])
    # By name, the objects of a partition stand in the order in which their changes happened.
    name = f"{said.partition:05}-{said.sequence:020}-{digest(body)}"
    return Request(id=f"{'/'.join(folders)}/{name}.{ending}", items=tuple(items), body=body)


def content(items: Sequence[Item], format_: str, compression: str) -> tuple[bytes, str]:
    """The bytes of an object with these items, and what its name ends with."""
    if format_ == "parquet":
        from services.connectors.files.parquet import parquet  # noqa: PLC0415 - 40 MB that few destinations need

        return parquet(items, compression), _ENDING[format_]
    packed = rows.compressed(rows.TEXT_FORMATS[format_](items), compression)
    return packed, f"{_ENDING[format_]}{_PACKED[compression]}"


def digest(body: bytes) -> str:
    """By which no name stands for two contents."""
    return hashlib.sha256(body).hexdigest()[:16]


def folder(said: Delivery) -> str:
    """The activation's name as a part of a key, or its id where that does not fit."""
    name = quote(said.activation_name, safe=" ")
    return name if name.strip(". ") and len(name) <= _FOLDER_CHARS_MAX else said.activation_id
