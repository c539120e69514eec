"""AsyncAPI's own parser, which is JavaScript: fetched into `.venv` once, at the versions of `package-lock.json`.

`python -m tests.contract.asyncapi` is the step of `make check`; `test_asyncapi` shows pages that it refuses.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_SOURCES: Final = Path(__file__).parent
_BIN: Final = Path(sys.prefix) / "bin"
_FETCHED: Final = Path(sys.prefix) / "asyncapi"


def complaints(pages: Sequence[Path]) -> dict[Path, list[str]]:
    """What the parser calls an error, by page. References are followed from where the page lies."""
    _fetch()
    called = [str(_BIN / "node"), "validate.mjs", *(str(page.resolve()) for page in pages)]
    done = subprocess.run(called, cwd=_FETCHED, check=True, capture_output=True, text=True)
    return dict(zip(pages, json.loads(done.stdout).values(), strict=True))


def _fetch() -> None:
    """Does nothing where what the lock says is there."""
    lock, kept = _SOURCES / "package-lock.json", _FETCHED / "package-lock.json"
    shutil.copytree(_SOURCES, _FETCHED, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "*-lock.json"))
    if kept.is_file() and kept.read_bytes() == lock.read_bytes():
        return
    shutil.copyfile(lock, fetching := _FETCHED / "npm-shrinkwrap.json")
    npm = [str(_BIN / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(npm, cwd=_FETCHED, check=True, timeout=300)
    fetching.rename(kept)  # last, so that a fetch which was broken off is done again
