"""Both ways to split a block say the same of it, row for row: the one for lines that are alike, and the general one."""

from collections.abc import Iterable
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.domain.intake import parsers
from services.domain.intake.alike import alike_lines
from services.domain.intake.columns import Columns, Shape, split_lines
from tests.unit.domain.intake.objects_read import AUDIENCES, read_object, request

FIRST_NUMBER = 17
UPPER, LOWER = "0123456789ABCDEF", "0123456789abcdef"
ID_TYPES = ["kuid", "email_sha256", "email_sha1", "email_md5", "maid"]


def shape(
    id_type: str, *, delimiter: bytes = b"^", fields: int = 2, identifier: int = 0, audience: int | None = 1
) -> Shape:
    return Shape(delimiter[0], fields, identifier, audience, 100, id_type)


def said(columns: Columns) -> tuple[list[tuple[int, str]], list[bytes] | None]:
    """(row number, identifier) of all rows, and what each names."""
    rows = [
        (int(columns.numbers[at]), text)
        for identities, positions in columns.identifiers.groups
        for at, text in zip(positions.tolist(), identities.texts(), strict=True)
    ]
    texts = columns.audiences
    return sorted(rows), None if texts is None else [texts.distinct[at] for at in texts.of_row.tolist()]


def agree(block: bytes, wanted: Shape) -> bool:
    """Whether the way for alike lines takes the block; then it must say what the other says."""
    alike = alike_lines(block, wanted, FIRST_NUMBER)
    if alike is None:
        return False
    general, refused, lines = split_lines(block, wanted, FIRST_NUMBER)
    assert refused == []
    assert general.identifiers.rejected == []
    columns, found = alike
    assert found == lines == len(columns.numbers)
    assert columns.numbers.tolist() == general.numbers.tolist()
    assert said(columns) == said(general)
    assert [one[0].form for one in columns.identifiers.groups] == [one[0].form for one in general.identifiers.groups]
    return True


def identifiers(random: Random, form: str, rows: int) -> Iterable[str]:
    """`form` is a template: x is a lower-case digit, X an upper-case one, Y of either case, all else is itself."""
    digits = {"x": LOWER, "X": UPPER, "Y": UPPER + LOWER}
    return ("".join(random.choice(digits[c]) if c in digits else c for c in form) for _ in range(rows))


UUIDS = ["xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "YYYYYYYY-YYYY-YYYY-YYYY-YYYYYYYYYYYY"]
HEX = [case * width for case in "xXY" for width in (32, 40, 64)]
OTHERS = ["customer-xxxxxx", " " + UUIDS[0], "x" * 31, "x" * 36]
FRAMES = [
    ("{}^a\n", shape("")),
    ("{}^ a \r\n", shape("")),
    ("{}^\n", shape("")),
    ("{}^été\n", shape("")),
    ("{}\n", shape("", fields=1, audience=None)),
    ("{}\r\n", shape("", fields=1, audience=None)),
    ("{}\tsome longer name of a segment\n", shape("", delimiter=b"\t")),
    ("a,{},x,\r\n", shape("", delimiter=b",", fields=4, identifier=1, audience=0)),
    ("a,b,c,{}\n", shape("", delimiter=b",", fields=4, identifier=3, audience=None)),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "wanted"), FRAMES, ids=[frame for frame, _ in FRAMES])
@pytest.mark.parametrize("form", UUIDS + HEX + OTHERS)
@pytest.mark.parametrize("id_type", ID_TYPES)
def test_good_blocks(frame: str, wanted: Shape, form: str, id_type: str) -> None:
    """Taken exactly where all identifiers have one fixed form, which for kuid a hex value in upper case has not."""
    random = Random(form)
    texts = list(identifiers(random, form, 40))
    block = "".join(frame.format(text) for text in texts).encode()
    of_type = Shape(wanted.delimiter, wanted.fields, wanted.identifier, wanted.audience, 100, id_type)
    digits = {"email_sha256": 64, "email_sha1": 40, "email_md5": 32}.get(id_type)
    if digits is not None:
        taken = form in HEX and len(form) == digits
    else:
        taken = form in UUIDS or form in HEX[:3] or (id_type == "maid" and form in HEX and len(form) == 32)
    assert agree(block, of_type) == taken


@settings(max_examples=500, deadline=None)
@given(
    st.integers(0, 1 << 32),
    st.sampled_from([UUIDS[0], "x" * 64]),
    st.sampled_from(FRAMES),
    st.lists(st.tuples(st.integers(0, 5000), st.sampled_from(b'^,\t\n\r"\x00\x7f\x80-0aAgG `@')), max_size=3),
    st.sampled_from([b"", b"\n", b"x\n", b"^\n"]),
)
def test_blocks_with_a_byte_changed(
    seed: int, form: str, framed: tuple[str, Shape], changes: list[tuple[int, int]], end: bytes
) -> None:
    """Whatever byte stands anywhere, no wrong row gets through."""
    frame, wanted = framed
    block = bytearray("".join(map(frame.format, identifiers(Random(seed), form, 20))).encode())
    for at, byte in changes:
        block[at % (len(block) - 1)] = byte
    agree(bytes(block) + end, Shape(wanted.delimiter, wanted.fields, wanted.identifier, wanted.audience, 100, "kuid"))


@pytest.mark.parametrize("format", ["caret", "tab", "csv"])
@pytest.mark.parametrize("id_type", ["kuid", "email_sha256"])
def test_whole_objects(format: str, id_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of alike lines, broken by others, in blocks of all sizes: rows, rejects and counts are the same."""
    random = Random(f"{format} {id_type}")
    delimiter = {"caret": "^", "tab": "\t", "csv": ","}[format]
    names = [*AUDIENCES, "nobody"]
    lines: list[str] = []
    for number in count():
        if len(lines) > 3000:
            break
        name = names[number % len(names)].replace("a,b c", "b")
        run = identifiers(random, random.choice([*UUIDS, "x" * 64, "customer xx"]), random.randrange(1, 300))
        lines += [f"{text}{delimiter}{name}\n" for text in run]
        lines += random.choice([[], ["\n"], ["a\n"], [f"{delimiter}a\n"], ["u1\x01\n"]])
    text = "".join(lines).encode()
    if format == "csv":
        text = b"id,segment\n" + text
    asked = request(format=format, id_type=id_type)
    taken = [0]

    def counting(*arguments: Any) -> Any:
        found = alike_lines(*arguments)
        taken[0] += found is not None
        return found

    for block_bytes in (500, 3_000, 20_000):
        chunks = [text[at : at + block_bytes] for at in range(0, len(text), block_bytes)]
        monkeypatch.setattr(parsers, "alike_lines", counting)
        both = read_object(chunks, asked, block_bytes=block_bytes)
        monkeypatch.setattr(parsers, "alike_lines", lambda *arguments: None)
        general = read_object(chunks, asked, block_bytes=block_bytes)
        assert (both.rows, both.rejected) == (general.rows, general.rejected)
        assert both.reading.counts == general.reading.counts
        assert both.reading.audiences == general.reading.audiences
    assert taken[0], "the way for alike lines was taken"
