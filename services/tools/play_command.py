"""`usher play`: plays scenario files against the running system and prints expected and actual."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from services.adapters.connect import open_objects
from services.tools.failed import CallFailed
from services.tools.play import play
from services.tools.playing import Check, Played
from services.tools.scenario import Scenario, read_scenario
from services.tools.session import session


async def main(files: Sequence[Path], *, as_json: bool) -> int:
    """Exit 1 where expected and actual differ, a file is no scenario, or the system does not answer."""
    scenarios = [await asyncio.to_thread(load, file) for file in files]
    async with session() as (settings, log), open_objects(settings) as objects:
        bucket = settings.require("s3_bucket").s3_bucket
        right = True
        for scenario in scenarios:
            played = await play(log, objects, str(bucket), scenario, on_check=progress(scenario))
            show(played, as_json=as_json)
            right = right and played.ok
    return 0 if right else 1


def load(file: Path) -> Scenario:
    """Raises `CallFailed` naming file and place."""
    try:
        return read_scenario(file.read_bytes())
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise CallFailed(f"{file}: {error}") from None


def progress(scenario: Scenario) -> "Progress":
    return Progress(scenario.name)


class Progress:
    """One line that says which day is being played, on a terminal only."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, check: Check) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{self._name}: day {check.day} {check.what}\r")
            sys.stderr.flush()


def show(played: Played, *, as_json: bool) -> None:
    """The account of one scenario: a table, or one JSON object a line."""
    if as_json:
        for check in played.checks:
            line = {"scenario": played.scenario.name, "space": played.space, "day": check.day, "what": check.what,
                    "expected": check.expected, "actual": check.actual, "ok": check.ok}  # fmt: skip
            print(msgspec.json.encode(line).decode())
        ended = {"scenario": played.scenario.name, "space": played.space, "ok": played.ok, "trouble": played.trouble}
        print(msgspec.json.encode(ended).decode())
        return
    title = f"{played.scenario.name} (space {played.space})"
    table = Table("day", "what", "expected", "actual", "", title=title, title_justify="left")
    for check in played.checks:
        table.add_row(
            str(check.day), check.what, str(check.expected), str(check.actual), "ok" if check.ok else "DIFFERS"
        )
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(table)
    if played.trouble is not None:
        console.print(f"ended early: {played.trouble}", markup=False)
