"""`usher bench`: runs the benchmarks of `tests/benchmarks`, where the project's tree is."""

import importlib
import sys

from services.tools.failed import CallFailed
from services.tools.local_stack import PROJECT


async def main(name: str, *, case: str | None, as_json: bool) -> int:
    """Exit 1 where it could not be run, 2 where there is no such benchmark or case."""
    sys.path.insert(0, str(PROJECT))
    try:
        suite = importlib.import_module("tests.benchmarks.suite")
    except ImportError as error:
        words = f"the benchmarks are not in this install ({error}): run it in a clone of the project"
        raise CallFailed(words) from None
    try:
        code: int = await suite.run(name, PROJECT / ".usher" / "bench", case=case, as_json=as_json)
    except TimeoutError as error:
        raise CallFailed(str(error) or "the benchmark did not end in time") from None
    return code
