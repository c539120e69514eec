"""Both ways to split a block say the same of it, row for row: the one for lines that are alike, and the general one."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.domain.intake import alike
from services.domain.intake.alike import alike_lines, rows_of
from services.domain.intake.columns import Columns, Shape, split_lines
from services.domain.intake.refused import RefusedRows
from tests.unit.domain.intake.objects_read import AUDIENCES, read_object, request

FIRST_NUMBER = 17
LINES = 80  # so many that three changes and another end leave nine tenths of them alike
UPPER, LOWER = "0123456789ABCDEF", "0123456789abcdef"
ID_TYPES = ["kuid", "email_sha256", "email_sha1", "email_md5", "maid"]


def shape(*, delimiter: bytes = b"^", fields: int = 2, identifier: int = 0, audience: int | None = 1) -> Shape:
    return Shape(delimiter[0], fields, identifier, audience, 100, "kuid")


def said(columns: list[Columns]) -> list[tuple[int, str, str, bytes | None]]:
    """(row number, form, identifier, what it names) of all rows."""
    rows: list[tuple[int, str, str, bytes | None]] = []
    for part in columns:
        names = part.audiences
        for identities, positions in part.identifiers.groups:
            for at, text in zip(positions.tolist(), identities.texts(), strict=True):
                name = None if names is None else names.distinct[names.of_row[at]]
                rows.append((int(part.numbers[at]), identities.form.value, text, name))
    return sorted(rows)


def refusals(columns: list[Columns], refused: list[RefusedRows]) -> list[tuple[int, str]]:
    """(row number, code) of all that are no rows or have no identifier."""
    by_row = [(int(number), one.code.code) for one in refused for number in one.numbers]
    for part in columns:
        for one in part.identifiers.rejected:
            by_row += [(int(part.numbers[at]), one.code.code) for at in one.positions]
    return sorted(by_row)


def agree(block: bytes, wanted: Shape) -> int:
    """How many lines are taken for alike; and then all is as the other way says."""
    columns, refused, count = rows_of(block, wanted, FIRST_NUMBER)
    general, general_refused, general_count = split_lines(block, wanted, FIRST_NUMBER)
    assert count == general_count
    assert said(columns) == said([general])
    assert refusals(columns, refused) == refusals([general], general_refused)
    found = alike_lines(block, wanted, FIRST_NUMBER)
    return 0 if found is None else len(found.columns.numbers)


def identifiers(random: Random, form: str, rows: int) -> Iterable[str]:
    """`form` is a template: x is a lower-case digit, X an upper-case one, Y of either case, all else is itself."""
    digits = {"x": LOWER, "X": UPPER, "Y": UPPER + LOWER}
    return ("".join(random.choice(digits[c]) if c in digits else c for c in form) for _ in range(rows))


UUIDS = ["xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "YYYYYYYY-YYYY-YYYY-YYYY-YYYYYYYYYYYY"]
HEX = [case * width for case in "xXY" for width in (32, 40, 64)]
OTHERS = ["customer-xxxxxx", " " + UUIDS[0], "x" * 31, "x" * 36]
FRAMES = [
    ("{}^a\n", shape()),
    ("{}^ a \r\n", shape()),
    ("{}^\n", shape()),
    ("{}^été\n", shape()),
    ("{}\n", shape(fields=1, audience=None)),
    ("{}\r\n", shape(fields=1, audience=None)),
    ("{}\tsome longer name of a segment\n", shape(delimiter=b"\t")),
    ("a,{},x,\r\n", shape(delimiter=b",", fields=4, identifier=1, audience=0)),
    ("a,b,c,{}\n", shape(delimiter=b",", fields=4, identifier=3, audience=None)),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "wanted"), FRAMES, ids=[frame for frame, _ in FRAMES])
@pytest.mark.parametrize("form", UUIDS + HEX + OTHERS)
@pytest.mark.parametrize("id_type", ID_TYPES)
def test_good_blocks(frame: str, wanted: Shape, form: str, id_type: str) -> None:
    """Taken exactly where all identifiers have one fixed form, which for kuid a hex value in upper case has not."""
    random = Random(form)
    texts = list(identifiers(random, form, 40))
    block = "".join(frame.format(text) for text in texts).encode()
    of_type = replace(wanted, id_type=id_type)
    digits = {"email_sha256": 64, "email_sha1": 40, "email_md5": 32}.get(id_type)
    if digits is not None:
        taken = form in HEX and len(form) == digits
    else:
        taken = form in UUIDS or form in HEX[:3] or (id_type == "maid" and form in HEX and len(form) == 32)
    assert agree(block, of_type) == (40 if taken else 0)


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
    """Whatever byte stands anywhere: the lines that it spoils are looked at by themselves, all others stay alike."""
    frame, wanted = framed
    block = bytearray("".join(map(frame.format, identifiers(Random(seed), form, LINES))).encode())
    first = len(block) // LINES
    for at, byte in changes:
        block[first + at % (len(block) - first - 1)] = byte
    assert agree(bytes(block) + end, wanted) >= LINES - 2 * len(changes)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 1 << 32),
    st.sampled_from(FRAMES),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(b'^,\t\n\r"\x00\x7f\x80-0aAgG `@')), max_size=3),
    st.integers(1, 4),
)
def test_a_first_line_with_a_byte_changed(
    seed: int, framed: tuple[str, Shape], changes: list[tuple[int, int]], rows: int
) -> None:
    """What the first line says of all lines is what it would say of itself."""
    frame, wanted = framed
    block = bytearray("".join(map(frame.format, identifiers(Random(seed), UUIDS[0], rows))).encode())
    for at, byte in changes:
        block[at % (len(block) - 1)] = byte
    agree(bytes(block), wanted)


def test_lines_whose_widths_only_add_up() -> None:
    """As many newlines as lines of the first line's width would have, and not where they would have them."""
    texts = list(identifiers(Random(1), UUIDS[0], 40))
    shorter = [*texts[:20], texts[20][:-1], texts[21] + "0", *texts[22:]]
    assert agree("".join(f"{text}^a\n" for text in shorter).encode(), shape()) == 38
    cut = [*texts[:20], texts[20][:17] + "^a\n" + texts[20][:16], texts[21], *texts[22:]]
    assert agree("".join(f"{text}^a\n" for text in cut).encode(), shape()) == 39


def test_lines_wider_than_any_that_are_looked_at() -> None:
    texts = identifiers(Random(1), UUIDS[0], 40)
    wide = replace(shape(), row_bytes_max=1 << 16)
    block = "".join(f"{text}^{'a' * (1500 + at % 2)}\n" for at, text in enumerate(texts)).encode()
    assert agree(block, wide) == 0


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
        monkeypatch.setattr(alike, "alike_lines", counting)
        both = read_object(chunks, asked, block_bytes=block_bytes)
        monkeypatch.setattr(alike, "alike_lines", lambda *arguments: None)
        general = read_object(chunks, asked, block_bytes=block_bytes)
        assert (both.rows, both.rejected) == (general.rows, general.rejected)
        assert both.reading.counts == general.reading.counts
        assert both.reading.audiences == general.reading.audiences
    assert taken[0], "the way for alike lines was taken"
