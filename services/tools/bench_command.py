"""`usher bench`: runs the benchmarks of `tests/benchmarks`, where the project's tree is."""

import importlib
import sys
from pathlib import Path
from typing import Final

from services.tools.children import ChildDied
from services.tools.session import CallFailed, complain

PROJECT: Final = Path(__file__).parents[2]


async def main(name: str, *, as_json: bool) -> int:
    """Exit 1 where it could not be run, 2 where there is no such benchmark."""
    sys.path.insert(0, str(PROJECT))
    try:
        suite = importlib.import_module("tests.benchmarks.suite")
    except ImportError as error:
        return complain(
            CallFailed(f"the benchmarks are not in this install ({error}): run it in a clone of the project")
        )
    try:
        code: int = await suite.run(name, PROJECT / ".usher" / "bench", as_json=as_json)
    except (CallFailed, ChildDied, TimeoutError) as error:
        return complain(CallFailed(str(error) or "the benchmark did not end in time"))
    return code
