"""Every wrong object of the issue, as a row of a table: what is refused, under which number and code, and who is not."""

import gzip
import itertools
import tracemalloc
from collections.abc import Callable

import pytest

from contracts import codes
from contracts.messages.entities import Column, FixedAudience
from contracts.raw_ids import hashed
from services.domain.intake.inflate import Inflate
from services.domain.intake.refused import ObjectRefused
from tests.unit.domain.intake.objects_read import read_object, request, zstd_compress

GOOD = [("u1", "aud_a"), ("u2", "aud_b")]
MEGABYTE = 1 << 20

# name, text, rejected; the good rows u1^a and u2^b stand in each.
CARET = [
    ("good", b"u1^a\nu2^b\n", []),
    ("no end of the last line", b"u1^a\nu2^b", []),
    ("CRLF", b"u1^a\r\nu2^b\r\n", []),
    ("CRLF, no end of the last line", b"u1^a\r\nu2^b\r", []),
    ("BOM", b"\xef\xbb\xbfu1^a\nu2^b\n", []),
    ("BOM and nothing before the line ends", b"\xef\xbb\xbf\nu1^a\nu2^b\n", []),
    ("blank lines are no rows, but they count as lines", b"\nu1^a\n\r\n\nx\nu2^b\n\n", [(5, "row-columns")]),
    ("white space around", b" u1 ^ a\n\tu2\t^b \n", []),
    ("NUL", b"u1^a\nu\x003^a\nu2^b\n", [(2, "row-encoding")]),
    ("NUL in the audience", b"u1^a\nu3^\x00a\nu2^b\n", [(2, "row-encoding")]),
    ("a control character", b"u1^a\nu3^a\x7f\nu2^b\n", [(2, "row-encoding")]),
    ("a lone carriage return", b"u1^a\nu3\ru4^a\nu2^b\n", [(2, "row-encoding")]),
    ("a tab within the identifier", b"u1^a\nu\t3^a\nu2^b\n", [(2, "row-encoding")]),
    ("a C1 control within the identifier", "u1^a\nu\u00853^a\nu2^b\n".encode(), [(2, "row-encoding")]),
    ("invalid UTF-8", b"u1^a\n\xff3^a\nu2^b\n", [(2, "row-encoding")]),
    ("invalid UTF-8 in the audience", b"u1^a\nu3^\xc3\nu2^b\n", [(2, "row-encoding")]),
    ("a surrogate", b"u1^a\nu\xed\xa0\x80^a\nu2^b\n", [(2, "row-encoding")]),
    ("a 10 MB line", b"u1^a\n" + b"x" * 10 * MEGABYTE + b"\nu2^b\n", [(2, "row-too-long")]),
    ("a 10 MB line that is all delimiters", b"u1^a\n" + b"^" * 10 * MEGABYTE + b"\nu2^b\n", [(2, "row-too-long")]),
    ("a 10 MB first line with a BOM", b"\xef\xbb\xbf" + b"x" * 10 * MEGABYTE + b"\nu1^a\nu2^b\n", [(1, "row-too-long")]),
    ("a 10 MB last line", b"u1^a\nu2^b\n" + b"x" * 10 * MEGABYTE, [(3, "row-too-long")]),
    ("64 KiB is not too long", b"u1^a\nu2^b\n" + b"x" * (65_536 - 2) + b"^a\r\n", [(3, "row-identifier-invalid")]),
    ("a byte more is", b"u1^a\nu2^b\n" + b"x" * (65_536 - 1) + b"^a\n", [(3, "row-too-long")]),
    ("three columns", b"u1^a\nu3^a^b\nu2^b\n", [(2, "row-columns")]),
    ("one column", b"u1^a\nu3\nu2^b\n", [(2, "row-columns")]),
    ("the other delimiter", b"u1^a\nu3,a\nu2^b\n", [(2, "row-columns")]),
    ("empty id", b"u1^a\n^a\n  ^a\nu2^b\n", [(2, "row-identifier-empty"), (3, "row-identifier-empty")]),
    ("id^a,b", b"u1^a\nu3^a,b\nu2^b\n", [(2, "row-audience-unknown")]),
    ("empty audience", b"u1^a\nu3^\nu2^b\n", [(2, "row-audience-unknown")]),
    ("an unknown audience", b"u1^a\nu3^nobody\nu2^b\n", [(2, "row-audience-unknown")]),
    ("audiences tell case", b"u1^a\nu3^A\nu2^b\n", [(2, "row-audience-unknown")]),
    ("an identifier too long", b"u1^a\n" + b"x" * 257 + b"^a\nu2^b\n", [(2, "row-identifier-invalid")]),
    ("an identifier of white space only, outside ASCII", "u1^a\n\u2003^a\nu2^b\n".encode(), [(2, "row-identifier-empty")]),
    ("both are wrong: the identifier's code", b"u1^a\n^nobody\nu2^b\n", [(2, "row-identifier-empty")]),
    ("quotes mean nothing", b'u1^a\nu2^b\nu3^"a"\n', [(3, "row-audience-unknown")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rejected"), [row[1:] for row in CARET], ids=[row[0] for row in CARET])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd_compress], ids=["plain", "gzip", "zstd"])
def test_caret(text: bytes, rejected: list[tuple[int, str]], pack: Callable[[bytes], bytes]) -> None:
    found = read_object(pack(text), inflate=Inflate(ratio_max=40_000))
    assert (found.rows, found.rejected) == (GOOD, rejected)


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
@pytest.mark.parametrize("format", ["caret", "tab"])
def test_nothing_in_it(format: str, text: bytes) -> None:
    found = read_object(text, request(format=format))
    assert (found.rows, found.rejected, found.reading.audiences) == ([], [], [])


def test_tab() -> None:
    found = read_object(b"u1\ta\nu3^a\nu4\ta\tb\nu\x016\ta\n\ta\nu2\tb\r\n", request(format="tab"))
    assert found.rows == GOOD
    assert found.rejected == [
        (2, "row-columns"),
        (3, "row-columns"),
        (4, "row-encoding"),
        (5, "row-identifier-empty"),
    ]


def test_identifiers_become_canonical() -> None:
    upper = "0A1B2C3D-0000-4000-8000-00000000ABCD"
    assert read_object(f"{upper}^a\n".encode()).rows == [(upper.lower(), "aud_a")]


def test_a_hash_of_the_wrong_length() -> None:
    right, md5, not_hex = "AB" * 32, "ab" * 16, "zz" * 32
    text = f"{right}^a\n{md5}^a\n{not_hex}^a\n{right}^b\n".encode()
    found = read_object(text, request(id_type="email_sha256"))
    assert found.rows == [(right.lower(), "aud_a"), (right.lower(), "aud_b")]
    assert found.rejected == [(2, "row-identifier-invalid"), (3, "row-identifier-invalid")]


# name, text after the header `id,extra,segment`, rejected, rows beside the good ones
CSV: list[tuple[str, bytes, list[tuple[int, str]], list[tuple[str, str]]]] = [
    ("good", b"u1,x,a\nu2,,b\n", [], []),
    ("CRLF", b"u1,x,a\r\nu2,,b\r\n", [], []),
    ("all quoted", b'"u1","x","a"\r\n"u2","","b"\r\n', [], []),
    ("quoted delimiter", b'u1,"x,y",a\nu2,,b\nu3,,"a,b c"\n', [], [("u3", "aud_c")]),
    ("quoted newlines count as one row", b'u1,"x\ny\r\n\nz",a\nu2,,b\nu3,,\n', [(3, "row-audience-unknown")], []),
    ("doubled quotes", b'u1,"x""y",a\nu2,"""",b\n', [], []),
    ("a quote within an unquoted field is itself", b'u1,5" wide,a\nu2,,b\n', [], []),
    ("quotes never closed cost their line", b'u3,"x,a\nu1,,a\nu2,,b\n', [(1, "row-quotes")], []),
    ("quotes never closed in the last line", b'u1,,a\nu2,,b\nu3,,"a', [(3, "row-quotes")], []),
    ("text after a closing quote", b'u1,,a\nu3,"x"y,a\nu2,,b\n', [(2, "row-quotes")], []),
    ("a quoted newline in the identifier", b'u1,,a\n"u\n3",,a\nu2,,b\n', [(2, "row-encoding")], []),
    ("missing and extra columns", b"u1,,a\nu3,a\nu4,,a,\nu2,,b\n", [(2, "row-columns"), (3, "row-columns")], []),
    ("missing columns beside quotes", b'u1,,"a"\nu3,a\nu4,"",a,\nu2,,b\n', [(2, "row-columns"), (3, "row-columns")], []),
    ("NUL beside quotes", b'u1,,"a"\nu3,"\x00",a\nu2,,b\n', [(2, "row-encoding")], []),
    ("invalid UTF-8 in a column that is not read", b"u1,,a\nu3,\xff,a\nu2,,b\n", [(2, "row-encoding")], []),
    ("invalid UTF-8 beside quotes", b'u1,,"a"\nu3,\xff,a\nu2,,b\n', [(2, "row-encoding")], []),
    ("blank lines", b'\nu1,,a\n\nu3,,"-"\nu2,,b\n', [(4, "row-audience-unknown")], []),
    ("a 10 MB line", b"u1,,a\n" + b"x," * 5 * MEGABYTE + b"\nu2,,b\n", [(2, "row-too-long")], []),
    ("a 10 MB quoted field", b'u1,,a\nu3,"' + b"x" * 10 * MEGABYTE + b'",a\nu2,,b\n', [(2, "row-too-long")], []),
    ("empty id", b'u1,,a\n,,a\n"",,a\nu2,,b\n', [(2, "row-identifier-empty"), (3, "row-identifier-empty")], []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rejected", "also"), [row[1:] for row in CSV], ids=[row[0] for row in CSV])
def test_csv(text: bytes, rejected: list[tuple[int, str]], also: list[tuple[str, str]]) -> None:
    found = read_object(b"\xef\xbb\xbfid,extra,segment\n" + text, request(format="csv"))
    assert (found.rows, found.rejected) == ([*GOOD, *also], rejected)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\n",
        b"id",
        b"id,Segment\n",
        b"id,segment,id\n",
        b"id,segment,segment\n",
        b'id,"segment\n',
        b'"id"x,segment\n',
        b"id,segment,\xff\n",
        b"id,segment," + b"x" * 65_536 + b"\n",
        b"id;segment\n",
    ],
)
def test_headers_that_fail_the_object(header: bytes) -> None:
    with pytest.raises(ObjectRefused) as caught:
        read_object(header + b"u1,a\n" if header.endswith(b"\n") else header, request(format="csv"))
    assert caught.value.code is codes.OBJECT_HEADER_INVALID


@pytest.mark.parametrize(
    "header", [b"id,segment", b"id,segment\r\n", b'\xef\xbb\xbf segment ,"id"\n', b'id,segment,"a\nb"\n']
)
def test_header_only(header: bytes) -> None:
    found = read_object(header, request(format="csv"))
    assert (found.rows, found.rejected) == ([], [])


def test_csv_columns_may_stand_in_any_order_and_be_ignored() -> None:
    columns = [
        Column(name="what", role="audience"),
        Column(name="absent", role="ignore"),
        Column(name="who", role="identifier"),
    ]
    found = read_object(b"what,ignored,who\na,x,u1\nb,,u2\n", request(format="csv", columns=columns))
    assert found.rows == GOOD


CONSENT = [
    *(Column(name=name, role=role) for name, role in (("id", "identifier"), ("yes", "consent"), ("s", "audience")))
]


@pytest.mark.parametrize("quote", [b"", b'"'], ids=["plain", "quoted"])
def test_a_row_is_taken_where_its_identity_consents(quote: bytes) -> None:
    said = [b"1", b"0", b"", b" TRUE ", b"yes", b"no", b"y\xc3\xa9s", b"true"]
    rows = [b"u%d,%s%s%s,a\n" % (at, quote, word, quote) for at, word in enumerate(said)]
    found = read_object(b"id,yes,s\n" + b"".join(rows) + b",0,a\nu9,a\n", request(format="csv", columns=CONSENT))
    assert [identifier for identifier, _ in found.rows] == ["u0", "u3", "u4", "u7"]
    refused = [(number, "row-consent-missing") for number in (2, 3, 6, 7, 9)]
    assert found.rejected == [*refused, (10, "row-columns")]


def test_rows_alike_but_for_their_identities_are_not_taken_without_consent() -> None:
    for word, taken in ((b"1", 100), (b"0", 0)):
        body = b"".join(b"%064x,%s,a\n" % (number, word) for number in range(100))
        found = read_object(b"id,yes,s\n" + body, request(format="csv", columns=CONSENT, id_type="email_sha256"))
        assert (len(found.rows), len(found.rejected)) == (taken, 100 - taken)


def test_without_its_consent_column_an_object_is_refused() -> None:
    with pytest.raises(ObjectRefused) as caught:
        read_object(b"id,s\nu1,a\n", request(format="csv", columns=CONSENT))
    assert caught.value.code is codes.OBJECT_HEADER_INVALID


@pytest.mark.parametrize(
    ("id_type", "texts", "hashes"),
    [
        ("email", [" User@Example.com", "user@example.com", "nobody", "", "a@\x01.example"],
         ["b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"] * 2),
        ("phone", ["+31 (0)6 14 12 34 56", "0031614123456", "0614123456", "", "+3161\x01"],
         ["5253828bf4b74309f76c1b1b3fc379584d9dc139874764d5d134e6c0fc7235aa"] * 2),
    ],
)  # fmt: skip
def test_raw_identifiers_become_hashes(id_type: str, texts: list[str], hashes: list[str]) -> None:
    found = read_object("".join(f"{text}^a\n" for text in texts).encode(), request(id_type=id_type))
    assert [identifier for identifier, _ in found.rows] == hashes
    assert found.rejected == [(3, "row-identifier-invalid"), (4, "row-identifier-empty"), (5, "row-encoding")]


def test_addresses_that_look_like_hashes_are_addresses() -> None:
    """As wide as hashes, and one as the other, as `alike` has them."""
    addresses = [f"{number:052}@example.com" for number in range(50)]
    assert {len(one) for one in addresses} == {64}
    found = read_object("".join(f"{one}^a\n" for one in addresses).encode(), request(id_type="email"))
    assert sorted(identifier for identifier, _ in found.rows) == sorted(
        str(hashed("email_sha256", one)) for one in addresses
    )


def test_audience_of_the_path() -> None:
    asked = request(audience_from="path", key="in/2026-01-01/a/file")
    found = read_object(b"u1\nu3^a\n\nu2\n", asked)
    assert found.rows == [("u1", "aud_a"), ("u2", "aud_a")]
    assert found.rejected == [(2, "row-columns")]
    assert found.reading.audiences == ["aud_a"]
    nobody = read_object(b"u1\nu2\n", request(audience_from="path", key="in/nobody/a/file"))
    assert nobody.rejected == [(1, "row-audience-unknown"), (2, "row-audience-unknown")]


def test_audience_of_the_feed() -> None:
    one = [Column(name="id", role="identifier")]
    asked = request(audience_from=FixedAudience("b"), format="csv", columns=one)
    found = read_object(b'other,id\na,u1\na,"u2"\n', asked)
    assert found.rows == [("u1", "aud_b"), ("u2", "aud_b")]


def test_audiences_are_those_of_valid_rows_only() -> None:
    found = read_object(b"u1^b\n^a\nu2^nobody\n")
    assert found.reading.audiences == ["aud_b"]


def test_rejects_are_all_counted() -> None:
    found = read_object(b"u1^a\n^a\nx\ny\nu2^b\n")
    assert found.reading.rejects.by_code == {"row-columns": 2, "row-identifier-empty": 1}
    assert found.rejected == [(2, "row-identifier-empty"), (3, "row-columns"), (4, "row-columns")]


def test_a_line_of_a_hundred_megabytes_is_one_refused_row_and_never_in_memory() -> None:
    piece = b"x" * (1 << 20)
    chunks = itertools.chain([b"u1^a\n"], itertools.repeat(piece, 100), [b"^a\nu2^a\n"])
    tracemalloc.start()
    read = read_object(chunks)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read.rows == [("u1", "aud_a"), ("u2", "aud_a")]
    assert read.rejected == [(2, "row-too-long")]
    assert peak_bytes < 20 << 20
