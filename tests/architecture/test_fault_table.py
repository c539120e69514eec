"""The table fault → test of tests/README.md: every test in it exists, and the faults that must be in it are."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS / "README.md").read_text()
REQUIRED = {*range(1, 39), *range(40, 49)}


def absent(page: str) -> list[str]:
    """Tests that the page names and nobody has written."""
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", page)
    return [f"{path}::{test}" for path, test in named if not _is_written(TESTS / path, test)]


def _is_written(path: Path, test: str) -> bool:
    return path.exists() and re.search(rf"^\s*(async )?def {test}\(", path.read_text(), re.MULTILINE) is not None


def faults(page: str) -> set[int]:
    """The faults that a row of the page names a test for."""
    rows = re.findall(r"^\| ([\d, ]+) \|.*`[\w/]+\.py::test_", page, re.MULTILINE)
    return {int(number) for row in rows for number in row.split(",")}


def test_every_test_in_the_table_is_written() -> None:
    assert absent(PAGE) == []


def test_every_fault_that_must_be_in_the_table_is() -> None:
    assert REQUIRED - faults(PAGE) == set()


def test_the_laws_reject_a_test_that_is_gone_and_a_row_without_one() -> None:
    assert absent("`unit/nowhere.py::test_x`, `architecture/test_fault_table.py::test_nothing`") != []
    assert faults("| 30 | announced twice | nobody |  |\n| 31, 32 | x | `a/b.py::test_x` | |\n") == {31, 32}
