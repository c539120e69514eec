"""What keys say."""

import pytest

from services.domain.intake.keys import is_never_rows, path_audience, rejects_key


@pytest.mark.parametrize(
    ("key", "never"),
    [
        ("in/2026-01-01/file.gz", False),
        ("file", False),
        ("in/_folder/.folder/file", False),
        ("in/rejects", False),
        ("in/my-rejects/file", False),
        ("in/", True),
        ("in/2026-01-01/_SUCCESS", True),
        ("in/2026-01-01/.part.crc", True),
        ("_SUCCESS", True),
        ("rejects/imp_1.jsonl", True),
        ("in/rejects/deeper/file", True),
        ("", True),
    ],
)
def test_never_rows(key: str, *, never: bool) -> None:
    assert is_never_rows(key) is never


@pytest.mark.parametrize(
    ("prefix", "key", "audience"),
    [
        ("in/", "in/seg/file", "seg"),
        ("in/", "in/seg/2026-01-01/file", "seg"),
        ("in/", "in/2026-01-01/seg/file", "seg"),
        ("in/", "in/2026-13-45/seg/file", "seg"),
        ("in", "in/seg/deeper/file", "seg"),
        ("in/pre-", "in/pre-seg/file", "seg"),
        ("", "seg/file", "seg"),
        ("in/", "in/file", None),
        ("in/", "in/2026-01-01/file", None),
    ],
)
def test_path_audience(prefix: str, key: str, audience: str | None) -> None:
    assert path_audience(prefix, key) == audience


@pytest.mark.parametrize(
    ("prefix", "key"),
    [("in/", "in/rejects/imp_1.jsonl"), ("in/a", "in/a/rejects/imp_1.jsonl"), ("", "rejects/imp_1.jsonl")],
)
def test_reject_file_is_never_rows(prefix: str, key: str) -> None:
    assert rejects_key(prefix, "imp_1") == key
    assert is_never_rows(key)
