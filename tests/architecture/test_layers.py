"""The layers of pyproject.toml, as import-linter reads them: each forbidden import is planted, and each is found.

That the tree itself keeps them is checked by `lint-imports` in `make check`.
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS: list[dict[str, Any]] = SETTINGS["contracts"]
OURS = tuple(SETTINGS["root_packages"])


def forbidden_imports(contract: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(importer, imported) for every pair that a contract forbids."""
    if contract["type"] == "independence":
        yield from permutations(contract["modules"], 2)
    else:
        assert contract["type"] == "forbidden", "teach this test what the contract forbids"
        for source in contract["source_modules"]:
            yield from ((source, one) for one in contract["forbidden_modules"])


FORBIDDEN = [pair for contract in CONTRACTS for pair in forbidden_imports(contract)]


def lint(root: Path) -> tuple[int, str]:
    """Runs import-linter with the project's settings over the packages in `root`."""
    program, settings = Path(sys.executable).with_name("lint-imports"), PROJECT / "pyproject.toml"
    command = [str(program), "--config", str(settings), "--no-cache"]
    done = subprocess.run(
        command, cwd=root, env={"PYTHONPATH": str(root), "COLUMNS": "200"}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty package for every package of ours that the contracts name."""
    for name in {*OURS, *(one for pair in FORBIDDEN for one in pair if one.split(".")[0] in OURS)}:
        folder = tmp_path.joinpath(*name.split("."))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    return tmp_path


def test_a_tree_that_keeps_the_layers_passes(tree: Path) -> None:
    (tree / "services" / "control" / "app.py").write_text("import services.domain\nimport services.adapters\n")
    status, said = lint(tree)
    assert status == 0, said
    assert f"{len(CONTRACTS)} kept, 0 broken" in said


def test_every_forbidden_import_is_found(tree: Path) -> None:
    plants = {}
    for number, (importer, imported) in enumerate(FORBIDDEN):
        tree.joinpath(*importer.split("."), f"plant_{number}.py").write_text(f"import {imported}\n")
        plants[f"{importer}.plant_{number} -> {imported} "] = (importer, imported)
    status, said = lint(tree)
    assert status == 1
    assert f"0 kept, {len(CONTRACTS)} broken" in said
    assert {pair for plant, pair in plants.items() if plant not in said} == set()


def unguarded(packages: set[str], contracts: list[dict[str, Any]]) -> set[str]:
    """Packages whose imports no contract restricts."""
    return packages - {importer for contract in contracts for importer, _ in forbidden_imports(contract)}


def test_every_package_is_guarded() -> None:
    packages = {f"services.{path.parent.name}" for path in (PROJECT / "services").glob("*/__init__.py")} | {"contracts"}
    assert unguarded(packages, CONTRACTS) == {"services.tools"}  # tools are at the top: they may import anything


def test_a_package_that_no_contract_names_is_found() -> None:
    assert unguarded({"contracts", "services.rules"}, CONTRACTS) == {"services.rules"}
