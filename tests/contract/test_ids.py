"""Ids that control makes, and the canonical form of an identifier: a table of facts (contracts.md §1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import IDENTIFIER_BYTES_MAX, canonical, is_id, made_id

UUID = "550e8400-e29b-41d4-a716-446655440000"
SHA256, SHA1, MD5 = "ab" * 32, "cd" * 20, "ef" * 16

CANONICAL: list[tuple[str, str, str | None]] = [
    # Anything without a form of its own: as sent, trimmed.
    ("kuid", "u000051", "u000051"),
    ("kuid", " \tu000051\r\n", "u000051"),
    ("kuid", "\N{NO-BREAK SPACE}u000051\N{EM SPACE}", "u000051"),
    ("kuid", "MiXed", "MiXed"),
    ("customer_id", "a b", "a b"),
    ("customer_id", "josé", "josé"),
    ("customer_id", "x" * 256, "x" * 256),
    ("customer_id", "é" * 128, "é" * 128),
    ("a_name_of_the_space", "x^y", "x^y"),
    ("kuid", "", None),
    ("kuid", "   ", None),
    ("customer_id", "x" * 257, None),
    ("customer_id", "é" * 129, None),  # the limit is in bytes
    ("customer_id", "a\x00b", None),
    ("customer_id", "a\tb", None),
    ("customer_id", "a\x7fb", None),
    ("customer_id", "a\x9fb", None),
    ("customer_id", "a\ud800b", None),
    # What looks like a UUID is lower-case with hyphens, of whatever type.
    ("maid", UUID.upper(), UUID),
    ("kuid", UUID.upper(), UUID),
    ("idfa", UUID.upper().replace("-", ""), UUID),
    ("aaid", UUID.replace("-", ""), UUID),
    ("customer_id", UUID.upper().replace("-", ""), UUID.upper().replace("-", "")),  # 32 digits may mean anything here
    ("maid", f"{{{UUID}}}", f"{{{UUID}}}"),
    ("maid", UUID[:-1], UUID[:-1]),
    # Hashes: hex of the exact length, lower-case.
    ("email_sha256", SHA256.upper(), SHA256),
    ("email_sha256", f" {SHA256} ", SHA256),
    ("phone_sha256", SHA256, SHA256),
    ("email_sha1", SHA1.upper(), SHA1),
    ("email_md5", MD5.upper(), MD5),
    ("email_sha256", SHA256[:-1], None),
    ("email_sha256", SHA1, None),
    ("email_sha1", SHA256, None),
    ("email_md5", UUID, None),
    ("email_md5", "g" * 32, None),
    ("email_sha256", "٣" * 64, None),  # digits, but not hex
    ("phone_sha256", "+15551234567", None),
    ("email_sha256", "", None),
]  # fmt: skip


@pytest.mark.parametrize(("id_type", "value", "expected"), CANONICAL)
def test_canonical_form(id_type: str, value: str, expected: str | None) -> None:
    assert canonical(id_type, value) == expected


@given(st.sampled_from(["kuid", "maid", "email_md5", "email_sha256"]), st.text(max_size=40) | st.uuids().map(str))
def test_the_canonical_form_is_its_own_canonical_form(id_type: str, value: str) -> None:
    form = canonical(id_type, value)
    if form is not None:
        assert canonical(id_type, form) == form
        assert 1 <= len(form.encode()) <= IDENTIFIER_BYTES_MAX


@pytest.mark.parametrize("text", ["a", "aud_1", "segment-b", "0", "_", "x" * 64])
def test_what_can_be_an_id(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "A", "a b", "a/b", "a.b", "é", "x" * 65, "a\n"])
def test_what_can_not(text: str) -> None:
    assert not is_id(text)


class TestMadeId:
    def test_the_same_parts_make_the_same_id(self) -> None:
        assert made_id("aud", "acme", "c-1", 0) == made_id("aud", "acme", "c-1", 0)
        assert is_id(made_id("aud", "acme", "c-1", 0))

    def test_it_is_published_form_so_it_may_not_change(self) -> None:
        assert made_id("imp", "acme", 7) == "imp_06f503ba0f4d8212703b"

    @pytest.mark.parametrize("parts", [("ab", "c"), ("a", "bc"), ("abc",), ("a", "b", "c")])
    def test_other_parts_make_another(self, parts: tuple[str, ...]) -> None:
        assert made_id("aud", *parts) != made_id("aud", "a", "b", "c", "")
