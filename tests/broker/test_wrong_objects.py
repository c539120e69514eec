"""Every wrong object at once, each beside good rows: its code, its counts, its reject file, and nobody else affected."""

import gzip
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from contracts import codes
from contracts.codes import Code
from contracts.messages.published import Import
from tests.broker.space import Space
from tests.broker.system import OBJECT_BYTES_MAX, System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

# Deflate makes a hundredth of a block that comes again within its window: enough for a bomb by size, not by ratio.
BLOCK = os.urandom(8192).hex().encode()
BOMB_BY_SIZE = gzip.compress(BLOCK * (OBJECT_BYTES_MAX // len(BLOCK) + 1), compresslevel=9)
BOMB_BY_RATIO = gzip.compress(b"u^a\n" * (5 << 20), compresslevel=9)


@dataclass(frozen=True)
class Wrong:
    """One object: what it holds, what becomes of it. `members` are who got in by it; `rejected` rows by code."""

    name: str
    body: bytes
    members: tuple[str, ...] = ()
    rejected: Mapping[Code, int] = field(default_factory=dict)
    duplicate: int = 0
    code: Code | None = None  # of the whole object
    folder: str = "caret"
    detail: str = ""
    storage: str = "STANDARD"


def gz(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


WRONG = [
    Wrong("nothing wrong", b"g1^a\n", ("g1",)),
    Wrong("truncated gzip", gz(b"x1^a\n" * 1000)[:-9], code=codes.OBJECT_TRUNCATED),
    Wrong("bytes behind a gzip", gz(b"x2^a\n") + b"junk", code=codes.OBJECT_TRUNCATED),
    Wrong("two-member gzip", gz(b"g2^a\n") + gz(b"g3^a\n"), ("g2", "g3")),
    Wrong("no gzip behind its name.gz", b"g4^a\n", ("g4",)),
    Wrong("gzip without the name", gz(b"g5^a\n"), ("g5",)),
    Wrong("empty", b""),
    Wrong("an empty gzip", gz(b"")),
    Wrong("header only.csv", b"id,list\n", folder="csv"),
    Wrong("no header.csv", b"x3,a\n", code=codes.OBJECT_HEADER_INVALID, folder="csv"),
    Wrong("quotes.csv", b'id,list\n"g6",a\n"x4,a\n', ("g6",), {codes.ROW_QUOTES: 1}, folder="csv"),
    Wrong("CRLF", b"g7^a\r\ng8^a\r\n", ("g7", "g8")),
    Wrong("BOM", b"\xef\xbb\xbfg9^a\n", ("g9",)),
    Wrong("NUL", b"x\x005^a\ng10^a\n", ("g10",), {codes.ROW_ENCODING: 1}),
    Wrong("invalid UTF-8", b"x\xff6^a\ng11^a\n", ("g11",), {codes.ROW_ENCODING: 1}),
    Wrong("a line of 10 MB", b"x" * (10 << 20) + b"^a\ng12^a\n", ("g12",), {codes.ROW_TOO_LONG: 1}),
    Wrong("three columns", b"x7^a^a\ng13^a\n", ("g13",), {codes.ROW_COLUMNS: 1}),
    Wrong("one column", b"x8\ng14^a\n", ("g14",), {codes.ROW_COLUMNS: 1}),
    Wrong("empty id", b"^a\ng15^a\n", ("g15",), {codes.ROW_IDENTIFIER_EMPTY: 1}),
    Wrong("two audiences in one", b"x9^a,b\ng16^a\n", ("g16",), {codes.ROW_AUDIENCE_UNKNOWN: 1}),
    Wrong("unknown audience", b"x10^nobody\ng17^a\n", ("g17",), {codes.ROW_AUDIENCE_UNKNOWN: 1}),
    Wrong("a composed audience", b"x11^both\ng18^a\n", ("g18",), {codes.ROW_AUDIENCE_UNKNOWN: 1}),
    Wrong("one identity twice", b"g19^a\ng19^a\n", ("g19",), duplicate=1),
    Wrong("a hash too short", b"%b^h\n%b^h\n" % (b"ab" * 31, b"CD" * 32), ("cd" * 32,),
          {codes.ROW_IDENTIFIER_INVALID: 1}, folder="hash"),
    Wrong("a bomb by ratio", BOMB_BY_RATIO, code=codes.OBJECT_TOO_LARGE, detail="times the object"),
    Wrong("a bomb by size", BOMB_BY_SIZE, code=codes.OBJECT_TOO_LARGE, detail="bytes of text"),
    Wrong("access denied", b"x12^a\n", code=codes.OBJECT_ACCESS_DENIED, storage="GLACIER"),
]  # fmt: skip


async def prepare(space: Space) -> None:
    await space.audiences("a", "b")
    await space.audiences("h", id_type="email_sha256")
    both = {"and": [{"audience": "a"}, {"audience": "b"}]}
    await space.send("audiences.create", {"name": "both", "kind": "composed", "expression": both})
    append = {"mode": "append", "lookback_days": 10}
    await space.feed("caret", **append)
    await space.feed("hash", **append, id_type="email_sha256")
    columns = [{"name": "id", "role": "identifier"}, {"name": "list", "role": "audience"}]
    await space.feed("csv", **append, format="csv", columns=columns)


async def test_what_becomes_of_each(space: Space, system: System) -> None:
    await prepare(space)
    counted = {code: await outcome(system, code) for one in WRONG for code in one.rejected}

    keys = [await space.put(f"{one.folder}/{one.name}", one.body, StorageClass=one.storage) for one in WRONG]
    ended = [await space.ended(key) for key in keys]

    for one, found in zip(WRONG, ended, strict=True):
        judge(one, found)
    await space.catch_up()
    members = {member for one in WRONG for member in one.members}
    assert space.members("a") | space.members("h") == members
    assert space.letter_codes(space.name) == []
    for code, before in counted.items():
        rejected = sum(one.rejected.get(code, 0) for one in WRONG)
        assert await outcome(system, code) == before + rejected, code
    for one, found in zip(WRONG, ended, strict=True):
        await reject_file(system, one, found)


def judge(one: Wrong, found: Import) -> None:
    """The import's record against the table."""
    assert (found.state, found.error and found.error.code) == (
        ("applied", None) if one.code is None else ("failed", one.code.code)
    ), one.name
    assert one.detail in (found.error.detail if found.error else ""), one.name
    rejected = sum(one.rejected.values())
    valid = len(one.members) + one.duplicate
    counts = found.counts
    expected = (valid + rejected, valid, rejected, one.duplicate, len(one.members))
    assert (counts.rows, counts.valid, counts.rejected, counts.duplicate, counts.entered) == expected, one.name
    assert found.rejected_by_code == {code.code: count for code, count in one.rejected.items()}, one.name


async def reject_file(system: System, one: Wrong, found: Import) -> None:
    """It is where the record says; it names rows and codes, and never what stood in them."""
    if not one.rejected:
        assert found.rejects is None, one.name
        return
    assert found.rejects is not None
    bucket, _, key = found.rejects.removeprefix("s3://").partition("/")
    lines = system.s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    told = [json.loads(line) for line in lines]
    assert [line["code"] for line in told] == [code.code for code, count in one.rejected.items() for _ in range(count)]
    assert all(set(line) == {"row", "code"} for line in told), one.name


async def outcome(system: System, code: Code) -> float:
    return await system.metric("intake", "usher_intake_rows_total", outcome=code.code)
