"""Files that users upload: rows of every form, good and bad, and what a reader must find in them."""

import gzip
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from contracts.ids import canonical
from contracts.messages.intake import ObjectVersion

Mode = Literal["append", "replace", "remove"]
UNKNOWN: Final = "nobody-knows-it"


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A feed as its user wrote it. `audience_from` is `column`, `path`, or the name of a fixed audience."""

    space: str
    name: str
    mode: Mode
    lookback_days: int | None
    format: Literal["caret", "tab", "csv"]
    audience_from: str
    id_type: str
    remove_share_max: float | None = None

    @property
    def prefix(self) -> str:
        return f"{self.space}/{self.name}/"

    @property
    def names_in_rows(self) -> bool:
        return self.audience_from == "column"

    def item(self) -> dict[str, object]:
        """As an item of `feeds.create`."""
        fixed = self.audience_from not in ("column", "path")
        columns = [{"name": "who", "role": "identifier"}, {"name": "what", "role": "ignore"}]
        if self.names_in_rows:
            columns.append({"name": "where", "role": "audience"})
        return {
            "name": self.name,
            "source": {"kind": "s3", "prefix": self.prefix},
            "mode": self.mode,
            "id_type": self.id_type,
            "format": self.format,
            "audience_from": {"audience": self.audience_from} if fixed else self.audience_from,
            **({"lookback_days": self.lookback_days} if self.lookback_days is not None else {}),
            **({"remove_share_max": self.remove_share_max} if self.remove_share_max is not None else {}),
            **({"columns": columns} if self.format == "csv" else {}),
        }


@dataclass(frozen=True, kw_only=True)
class File:
    """One file. `rows` are (canonical identity, audience as named) of good form, `bad` how many rows are of none."""

    feed: Feed
    key: str
    body: bytes
    rows: tuple[tuple[str, str], ...]
    bad: int


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file as it was put at an instant."""

    file: File
    version: ObjectVersion
    at_ms: int


def universe(id_type: str, count: int) -> list[str]:
    """So many canonical identities."""
    match id_type:
        case "maid":
            return [f"00000000-0000-4000-8000-{number * 7919:012x}" for number in range(count)]
        case "email_sha256":
            return [f"{number * 7919:064x}" for number in range(count)]
    return [f"u{number:06d}" for number in range(count)]


def spelled(random: Random, id_type: str, identity: str) -> str:
    """One of the spellings that mean this identity."""
    if id_type != "kuid" and random.random() < 0.3:
        identity = identity.upper()
    return f" {identity}" if random.random() < 0.1 else identity


def file(random: Random, feed: Feed, key: str, identities: list[str], audiences: list[str]) -> File:
    """A file of a few rows, some of which may be bad or name what nobody knows."""
    pairs: list[tuple[str, str]] = []
    good: list[tuple[str, str]] = []
    bad = 0
    for _ in range(random.choice((0, 1, 3, 8, 20))):
        where = UNKNOWN if random.random() < 0.05 else random.choice(audiences)
        if random.random() < 0.08:
            empty = feed.names_in_rows or feed.format == "csv"  # elsewhere it is a blank line, which is no row
            pairs.append((random.choice(("", "x" * 300)) if empty else "x" * 300, where))
            bad += 1
        else:
            identity = random.choice(identities)
            pairs.append((spelled(random, feed.id_type, identity), where))
            assert canonical(feed.id_type, pairs[-1][0]) == identity
            good.append((identity, where if feed.names_in_rows else _of_all(feed, key)))
    body = "".join(_lines(feed, pairs)).encode()
    if random.random() < 0.3:
        body = gzip.compress(body, mtime=0)
    return File(feed=feed, key=key, body=body, rows=tuple(good), bad=bad)


def _of_all(feed: Feed, key: str) -> str:
    return key.removeprefix(feed.prefix).split("/")[0] if feed.audience_from == "path" else feed.audience_from


def _lines(feed: Feed, pairs: list[tuple[str, str]]) -> list[str]:
    wide = feed.names_in_rows
    match feed.format:
        case "csv":
            head = "who,what,where\n" if wide else "who,what\n"
            return [head, *(f"{who},7,{where}\n" if wide else f"{who},7\n" for who, where in pairs)]
        case "tab":
            return [f"{who}\t{where}\n" if wide else f"{who}\n" for who, where in pairs]
    return [f"{who}^{where}\n" if wide else f"{who}\n" for who, where in pairs]
