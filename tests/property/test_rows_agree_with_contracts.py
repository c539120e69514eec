"""The array operations of services.domain.rows say of every value what the rules for one value say."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import codes
from contracts.ids import DEVICE_ID_TYPES, HASH_HEX_DIGITS, canonical
from contracts.partitioning import member_key, member_partition
from services.domain.rows import canonicalise

ID_TYPES = ["kuid", "customer_id", *HASH_HEX_DIGITS, *DEVICE_ID_TYPES]

hex_any_case = st.text("0123456789abcdefABCDEF", min_size=30, max_size=34) | st.sampled_from([32, 40, 64]).flatmap(
    lambda n: (
        st.text("0123456789abcdefABCDEF", min_size=n, max_size=n) | st.text("0123456789abcdef", min_size=n, max_size=n)
    )
)
uuids = st.uuids().map(str) | st.uuids().map(lambda u: str(u).upper()) | st.uuids().map(lambda u: u.hex)
nearly = st.tuples(uuids | hex_any_case, st.integers(0, 70), st.text(max_size=2)).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + 1 :]
)
padded = st.tuples(
    st.text(" \t\n\x1c\x85\xa0\u2003\ufeff", max_size=2),
    uuids | hex_any_case | st.text(max_size=4),
    st.text(" \r\u3000", max_size=2),
).map("".join)
long_text = st.sampled_from([255, 256, 257]).flatmap(lambda n: st.sampled_from(["x" * n, "é" * (n // 2)]))
texts = st.one_of(st.text(), hex_any_case, uuids, nearly, padded, long_text, st.just(""))
values = texts.map(lambda t: t.encode("utf-8", "surrogatepass")) | st.binary(max_size=40) | st.none()


def expected(id_type: str, value: bytes | None) -> str | None:
    try:
        return canonical(id_type, (value or b"").decode())
    except UnicodeDecodeError:
        return None


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ID_TYPES), st.lists(values, max_size=12), st.sampled_from([pa.binary(), pa.large_binary()]))
def test_canonicalise(id_type: str, batch: list[bytes | None], kind: pa.DataType) -> None:
    found = canonicalise(id_type, pa.array(batch, type=kind))
    said: dict[int, str | None] = {}
    for identities, positions in found.groups:
        assert positions.tolist() == sorted(positions.tolist())
        said.update(zip(positions.tolist(), identities.texts(), strict=True))
        keys = identities.keys()
        for at, text in enumerate(identities.texts()):
            assert keys[at].tobytes() == member_key(text)
        for count in (1, 4, 16, 7):
            assert identities.partitions(count).tolist() == [member_partition(t, count) for t in identities.texts()]
    for refusal in found.rejected:
        for position in refusal.positions.tolist():
            assert position not in said
            said[position] = None
    assert said == {at: expected(id_type, value) for at, value in enumerate(batch)}
    assert len({identities.form for identities, _ in found.groups}) == len(found.groups)


@given(st.lists(values, min_size=3, max_size=8))
def test_slices_of_arrow_arrays(batch: list[bytes | None]) -> None:
    whole = pa.array(batch, type=pa.binary())
    part = canonicalise("kuid", whole.slice(1, len(batch) - 2))
    again = canonicalise("kuid", pa.array(batch[1:-1], type=pa.binary()))
    assert [(i.texts(), p.tolist()) for i, p in part.groups] == [(i.texts(), p.tolist()) for i, p in again.groups]


def test_codes_of_refusals() -> None:
    batch = [b"", b"  ", b"\xff", b"a\x00b", b"x" * 257, b"abc", None]
    by_code = {r.code: r.positions.tolist() for r in canonicalise("kuid", pa.array(batch, pa.binary())).rejected}
    assert by_code == {
        codes.ROW_IDENTIFIER_EMPTY: [0, 1, 6],
        codes.ROW_ENCODING: [2, 3],
        codes.ROW_IDENTIFIER_INVALID: [4],
    }
    (short,) = canonicalise("email_sha256", pa.array([b"ab"], pa.binary())).rejected
    assert short.code is codes.ROW_IDENTIFIER_INVALID
