"""Random good and bad rows in random chunks, gzip members and zstd frames: the same rows, rejects and numbers as a naive reader."""

import gzip
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.ids import canonical
from contracts.raw_ids import hashed
from services.domain.intake.inflate import Inflate
from tests.unit.domain.intake.objects_read import AUDIENCES, read_object, request, zstd_compress

ROW_BYTES_MAX = 90
Row = tuple[int, list[bytes] | str]  # its number, and its fields or the code that it is refused for


def naive(text: bytes, format: str, id_type: str) -> tuple[list[tuple[str, str]], list[tuple[int, str]]]:
    rows, rejected = [], []
    for number, fields in naive_rows(text, format):
        if isinstance(fields, str):
            rejected.append((number, fields))
        else:
            identifier, audience = (field.decode().strip() for field in fields)
            value = hashed("email_sha256", identifier) if id_type == "email" else canonical(id_type, identifier)
            if value is None:
                control = any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in identifier)
                what = "encoding" if control else "identifier-invalid" if identifier else "identifier-empty"
                rejected.append((number, f"row-{what}"))
            elif audience in AUDIENCES:
                rows.append((value, AUDIENCES[audience]))
            else:
                rejected.append((number, "row-audience-unknown"))
    return sorted(rows), rejected


def naive_rows(text: bytes, format: str) -> Iterator[Row]:
    lines = [line.removesuffix(b"\r") for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    number = 0
    while lines:
        row, number = lines.pop(0), number + 1
        if format == "csv" and len(row) <= ROW_BYTES_MAX:
            taken = next((n for n in range(len(lines) + 1) if csv_fields(row, *lines[:n]) != "open"), 0)
            open_part = b"\n".join([row, *lines[:taken]][:-1])
            if len(open_part) >= ROW_BYTES_MAX or isinstance(csv_fields(row, *lines[:taken]), str):
                yield number, "row-quotes"
                continue
            row, lines = b"\n".join([row, *lines[:taken]]), lines[taken:]
        allowed = b"\t\n" if format == "csv" else b"\t"
        fields = csv_fields(*row.split(b"\n")) if format == "csv" else row.split({"caret": b"^", "tab": b"\t"}[format])
        if len(row) > ROW_BYTES_MAX:
            yield number, "row-too-long"
        elif row.decode(errors="ignore").encode() != row or any((b < 32 or b == 127) and b not in allowed for b in row):
            yield number, "row-encoding"
        elif row:
            yield number, fields if len(fields) == 2 and not isinstance(fields, str) else "row-columns"


def csv_fields(*lines: bytes) -> list[bytes] | str:
    """The fields, or "open" or "broken", a character at a time."""
    fields, state = [b""], "start"
    for at, c in enumerate(text := b"\n".join(lines)):
        char = text[at : at + 1]
        if state == "quoted":
            state = "closing" if char == b'"' else state
            fields[-1] += b"" if char == b'"' else char
        elif char == b",":
            fields, state = [*fields, b""], "start"
        elif state == "closing" and char != b'"':
            return "broken"
        elif char == b'"' and state in ("start", "closing"):
            fields[-1] += b'"' if state == "closing" else b""
            state = "quoted"
        else:
            fields[-1] += char
            state = "plain" if c else state
    return "open" if state == "quoted" else fields


identifiers = st.one_of(
    st.sampled_from(
        [
            b"u1",
            b"u2",
            b" u3 ",
            b" Me@Example.com",
            b"me@example.com",
            b"",
            b"\t",
            b"x" * 80,
            b'5" wide',
            "é".encode(),
            b"\xff",
            b"a\x00",
            b"u\x7f",
        ]
    ),
    st.uuids().map(lambda u: str(u).upper().encode()),
    st.sampled_from([b"ab" * 32, b"AB" * 32, b"ab" * 16, b"zz" * 32]),
)
audiences = st.sampled_from([b"a", b"b", b" a ", "été".encode(), b"nobody", b"", b"a,b c", b"\xc3", b"a\x0b"])
cells = identifiers | audiences | st.text('"",\n\r ax', max_size=6).map(str.encode)
ends = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r\r\n", b"\n\n"])
odd_lines = st.sampled_from(
    [b"", b"x", b'"', b'""', b'"""', b"x" * (ROW_BYTES_MAX + 1), b"^" * ROW_BYTES_MAX, b"\xef\xbb\xbf"]
)


@st.composite
def texts(draw: st.DrawFn, format: str) -> bytes:
    delimiter = {"caret": b"^", "tab": b"\t", "csv": b","}[format]

    def quoted(cell: bytes) -> bytes:
        quote = format == "csv" and draw(st.booleans())
        return b'"%s"' % cell.replace(b'"', b'""') if quote else cell

    good = st.tuples(identifiers, audiences)
    wide = st.lists(cells, min_size=1, max_size=4)
    text = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    for row in draw(st.lists(good | wide | odd_lines, max_size=12)):
        text += row if isinstance(row, bytes) else delimiter.join(map(quoted, row))
        text += draw(ends)
    return text + draw(st.sampled_from([b"", b"u1" + delimiter + b"a", b"\r", b'"']))


@settings(max_examples=300, deadline=None)
@given(
    data=st.data(),
    format=st.sampled_from(["caret", "tab", "csv"]),
    id_type=st.sampled_from(["kuid", "email_sha256", "email"]),
)
def test_any_object(data: st.DataObject, format: str, id_type: str) -> None:
    text = data.draw(texts(format))
    expected = naive(text, format, id_type)
    if format == "csv":
        mark = b"\xef\xbb\xbf" if text.startswith(b"\xef\xbb\xbf") else b""
        text = mark + b'id,"segment"\r\n' + text.removeprefix(mark)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=4)))
    pack = data.draw(st.sampled_from([None, gzip.compress, zstd_compress]), label="packed")
    if pack is not None:
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        text = b"".join(map(pack, parts))
        cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=4)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found = read_object(
        chunks,
        request(format=format, id_type=id_type),
        inflate=Inflate(ratio_max=2000),
        block_bytes=data.draw(st.sampled_from([1, 10, 100, 100_000])),
        row_bytes_max=ROW_BYTES_MAX,
    )
    assert (found.rows, found.rejected) == expected
