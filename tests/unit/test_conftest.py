"""What a run that is ended from outside leaves behind: nothing."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
STARTS_SOMETHING = """
import asyncio, os, pathlib, signal
import pytest, pytest_asyncio

@pytest.fixture(scope="session")
def stack():
    yield
    pathlib.Path("stack-down").touch()

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(stack):
    yield
    await asyncio.sleep(0)
    pathlib.Path("services-down").touch()

@pytest.mark.asyncio(loop_scope="session")
async def test_is_ended(system):
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(60)
"""


def test_sigterm_ends_what_fixtures_have_started(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(STARTS_SOMETHING)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", tmp_path, "-p", "tests.conftest", "test_it.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 2, done.stdout + done.stderr
    assert {path.name for path in tmp_path.glob("*-down")} == {"stack-down", "services-down"}
