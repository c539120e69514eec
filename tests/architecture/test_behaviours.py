"""The table of behaviours: no number left out, each shown through real topics, and only what may waits for later work."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).parents[2]
TABLE = PROJECT / "contracts" / "behaviours.md"
COUNTS = {"K": 40, "R": 51, "S": 30, "A": 14, "C": 13}  # as the documents number them
LATER = {"HTTP", "event segments", "estimates", "matching", "remote segments"}


class Row(NamedTuple):
    number: str
    proof: str


def rows(text: str) -> list[Row]:
    """The rows of all tables: the number and what stands under `test`."""
    found = re.findall(r"^\| ([A-Z]-\d+) \|.*\| ([^|]+) \|$", text, re.MULTILINE)
    return [Row(number, proof.strip()) for number, proof in found]


def unproven(row: Row, root: Path) -> list[str]:
    """What is wrong with a row's proof."""
    kind, _, what = row.proof.partition(": ")
    if kind == "later":
        return [] if what in LATER else [f"{row.number}: nothing called {what!r} is announced"]
    named = re.findall(r"`([^`]+)`", row.proof)
    if not any(one.startswith("broker/") for one in named):
        return [f"{row.number}: no test through real topics"]
    return [f"{row.number}: no {one}" for one in named if not exists(one, root)]


def exists(test: str, root: Path) -> bool:
    """Whether `folder/test_x.py::test_y` is there; a file alone stands for all its tests."""
    path, _, name = test.partition("::")
    file = root / path
    if not file.is_file() or not name:
        return file.is_file()
    tree = ast.walk(ast.parse(file.read_text()))
    return any(isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == name for one in tree)


def test_no_number_is_left_out() -> None:
    wanted = [f"{prefix}-{number:02}" for prefix, count in COUNTS.items() for number in range(1, count + 1)]
    assert [row.number for row in rows(TABLE.read_text())] == wanted


def test_every_proof_is_there() -> None:
    assert [wrong for row in rows(TABLE.read_text()) for wrong in unproven(row, PROJECT / "tests")] == []


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "later: tomorrow",
        "missing: time",
        "`broker/test_nothing.py::test_x`",
        "`broker/test_kill.py::test_nothing`",
        "`unit/test_conftest.py`",
    ],
)
def test_the_law_rejects(proof: str) -> None:
    assert unproven(Row("K-01", proof), PROJECT / "tests")
