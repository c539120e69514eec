"""Which objects are written: one for each activation of a batch, named by its content.

So a retry writes the same bytes under the same name, and no name ever stands for two contents (faults 61, 64).
"""

import hashlib
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

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
    if format_ == "parquet":
        from services.connectors.files.parquet import parquet  # noqa: PLC0415 - 40 MB that few destinations need

        body, packed = parquet(items, compression), ""
    else:
        body, packed = rows.compressed(rows.TEXT_FORMATS[format_](items), compression), _PACKED[compression]
    said = items[0].delivery
    folders = [_folder(said.activation_name) or said.activation_id, said.at[:10]]
    if format_ in rows.PRESETS:
        folders.insert(1, rows.CHANGE[said.operation])
    # By name, the objects of a partition stand in the order in which their changes happened.
    name = f"{said.partition:05}-{said.sequence:020}-{hashlib.sha256(body).hexdigest()[:16]}"
    return Request(id=f"{'/'.join(folders)}/{name}.{_ENDING[format_]}{packed}", items=tuple(items), body=body)


def _folder(name: str) -> str | None:
    """The activation's name as a part of a key; None where there is none that fits."""
    folder = quote(name, safe=" ")
    return folder if folder.strip(". ") and len(folder) <= _FOLDER_CHARS_MAX else None
