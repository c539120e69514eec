"""Child processes of a tool: services and receivers started, watched, and ended, each with its own log file."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from services.tools.failed import CallFailed

TERMINATE_SECONDS = 20.0  # a service drains within its own, shorter deadline
LOG_TAIL_LINES = 15


class ChildDied(CallFailed):
    """A child ended by itself; the message holds the end of its log."""


class Children:
    """All children of one tool; leaving the `async with` block ends them, the last started first.

    `logs` is a folder of the tool's own; beside it lie the compiled modules where Python may not keep them itself.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._compiled = compiled_once(logs.parent / "compiled")
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        """Starts `python -m module arguments…`; returns its pid. Its output goes to `<logs>/<name>.log`."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, *arguments,
                env={**os.environ, **self._compiled, **environment},
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,  # Ctrl-C is the tool's to handle: it ends its children in order
            )  # fmt: skip
        self._running[name] = process
        return process.pid

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    async def watch(self) -> None:
        """Never returns; raises `ChildDied` as soon as a child has ended."""
        while True:
            for ended in self.ended():
                raise ChildDied(ended)
            await asyncio.sleep(0.2)

    def ended(self) -> list[str]:
        """The children that have ended by themselves, each with the end of its log."""
        return [
            f"{name} ended with {process.returncode}:\n{self.tail(name)}"
            for name, process in self._running.items()
            if process.returncode is not None
        ]

    def tail(self, name: str) -> str:
        """The end of a child's log."""
        lines = self.log(name).read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    async def kill(self, name: str) -> None:
        """SIGKILL, for those who want to see what happens then."""
        process = self._running.pop(name)
        process.kill()
        await process.wait()

    async def stop(self, name: str) -> int:
        """SIGTERM, then SIGKILL after a deadline; returns the exit code."""
        process = self._running.pop(name)
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(TERMINATE_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
        return await process.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in reversed(list(self._running)):
            await self.stop(name)


def compiled_once(folder: Path) -> dict[str, str]:
    """A service that compiles all that it imports starts two CPU seconds later, and a child is started often."""
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)}
