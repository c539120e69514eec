"""What the key of an object says: whether it can hold rows, which audience it names, where its reject file goes.

Which feed reads it is the catalogue view's to say. Called by watch, which announces, and by read.
"""

import re
from typing import Final

from contracts.messages.entities import Feed, Marker

REJECTS_FOLDER: Final = "rejects"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def is_never_rows(key: str) -> bool:
    """Under a `rejects/` folder, ending in `/`, or a last part that begins with `_` or `.` (contracts.md §3)."""
    *folders, name = key.split("/")
    return REJECTS_FOLDER in folders or name == "" or name[0] in "_."


def is_marker(key: str, feed: Feed) -> bool:
    """Whether it marks its folder as complete for the feed; then it is no rows, whatever its name."""
    *folders, name = key.split("/")
    return isinstance(feed.complete_on, Marker) and name == feed.complete_on.marker and REJECTS_FOLDER not in folders


def path_audience(prefix: str, key: str) -> str | None:
    """The first folder after the prefix that is not a day, None where there is none."""
    folders = key.removeprefix(prefix).split("/")[:-1]
    return next((folder for folder in folders if folder and not _DAY.fullmatch(folder)), None)


def rejects_key(prefix: str, import_id: str) -> str:
    """The key of an import's reject file: in a `rejects/` folder, so that no feed reads it."""
    folder = prefix if prefix == "" or prefix.endswith("/") else f"{prefix}/"
    return f"{folder}{REJECTS_FOLDER}/{import_id}.jsonl"
