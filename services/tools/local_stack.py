"""The local stack, where it is installed: a production install has no `deploy.local`, and must start all the same."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

from services.runtime.environment import STACK_FILE
from services.tools.failed import CallFailed

PROJECT: Final = Path(__file__).parents[2]


def local_module(name: str) -> ModuleType:
    """`deploy.local.<name>`; raises `CallFailed` with what to install."""
    try:
        return __import__(f"deploy.local.{name}", fromlist=[name])
    except ImportError as error:
        raise CallFailed(
            f"the local stack is not in this install ({error}): run `make install` in a clone of the project, "
            "or set USHER_KAFKA_BOOTSTRAP_SERVERS and USHER_S3_ENDPOINT_URL to your own"
        ) from None


@contextmanager
def stack_errors() -> Iterator[None]:
    """What the local stack can't do ends the call with the stack's own words."""
    failure = local_module("state").StackError
    try:
        yield
    except failure as error:
        raise CallFailed(str(error)) from None


def stack_root() -> Path:
    """The nearest folder above that has a stack or is the project, else the working directory."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / STACK_FILE).is_file() or (folder / "deploy" / "local").is_dir():
            return folder
    return here


def say(line: str) -> None:
    """Progress is for people: standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
