"""What an object holds: the rows of some items in one format, and how it is compressed. Nothing is done row by row.

A function of the items and the format alone: the same items make the same bytes.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import cramjam
import orjson
from isal import igzip

from services.domain.delivery.merge import Item

COLUMNS: Final = ("change", "id_type", "identifier", "at", "sequence")
CHANGE: Final[Mapping[str, str]] = {"add": "entered", "remove": "exited"}
_QUOTED: Final = re.compile('[",\r\n]')
_ESCAPED: Final = re.compile('["\\\\\\x00-\\x1f]')
_GZIP_LEVEL: Final = 2
_ZSTD_LEVEL: Final = 3


def csv(items: Sequence[Item]) -> bytes:
    """RFC 4180 with a header, lines end in LF; quoted is what has to be."""
    parts = [",".join(COLUMNS), "\n"]
    for item in items:
        said = item.delivery
        before, after = f"{CHANGE[said.operation]},{_field(said.id_type)},", f",{said.at},{said.sequence}\n"
        members = [_field(one) for one in item.members] if _any(_QUOTED, item) else item.members
        parts += [before, (after + before).join(members), after]
    return "".join(parts).encode()


def jsonl(items: Sequence[Item]) -> bytes:
    """One JSON object a line, the columns of `csv` in their order."""
    parts = []
    for item in items:
        said = item.delivery
        before = f'{{"change":"{CHANGE[said.operation]}","id_type":{_json(said.id_type)},"identifier":'
        after = f',"at":"{said.at}","sequence":{said.sequence}}}\n'
        if _any(_ESCAPED, item):
            parts += [before, (after + before).join(map(_json, item.members)), after]
        else:
            parts += [before, '"', f'"{after}{before}"'.join(item.members), '"', after]
    return "".join(parts).encode()


def liveramp(items: Sequence[Item]) -> bytes:
    """LiveRamp's columns: `audience_key` first, then the identifier's, values quoted; the header says how it is hashed.

    Device ids as LiveRamp wants them: Android's lower-case, Apple's upper-case (destinations.md §2).
    """
    (id_type,) = {item.delivery.id_type for item in items}
    parts = [f"audience_key,{id_type}\n"]
    for item in items:
        members = [one.upper() for one in item.members] if id_type == "idfa" else item.members
        before = f"{_quoted(item.delivery.audience_id)},"
        parts += [before, f"\n{before}".join(map(_quoted, members)), "\n"]
    return "".join(parts).encode()


def trade_desk_crm(items: Sequence[Item]) -> bytes:
    """The Trade Desk's CRM lines: the base64 of the SHA-256 of an e-mail address, nothing else."""
    lines = [base64.b64encode(bytes.fromhex(member)) for item in items for member in item.members]
    return b"\n".join([*lines, b""])


def compressed(body: bytes, compression: str) -> bytes:
    """The body as gzip without a time in it, as zstd, or as it is."""
    match compression:
        case "gzip":
            return bytes(igzip.compress(body, compresslevel=_GZIP_LEVEL, mtime=0))
        case "zstd":
            return bytes(cramjam.zstd.compress(body, level=_ZSTD_LEVEL))
        case _:
            return body


def _any(pattern: re.Pattern[str], item: Item) -> bool:
    """Whether any member holds such a character: asked of all at once, since hardly ever one does."""
    return pattern.search("".join(item.members)) is not None


def _field(text: str) -> str:
    return _quoted(text) if _QUOTED.search(text) else text


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _json(text: str) -> str:
    return orjson.dumps(text).decode()


TEXT_FORMATS: Final[Mapping[str, Callable[[Sequence[Item]], bytes]]] = {
    "csv": csv,
    "jsonl": jsonl,
    "liveramp": liveramp,
    "trade-desk-crm": trade_desk_crm,
}
PRESETS: Final = frozenset({"liveramp", "trade-desk-crm"})
"""Formats without a column for the change: what entered and what exited go to different objects."""
