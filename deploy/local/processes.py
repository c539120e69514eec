"""Processes that outlive the command that started them: spawn, recognise again, end.

A pid alone is never trusted: it is compared with the start time that the system reports, so that a pid that was
given to somebody else is never signalled. Knows nothing of Kafka or S3. Called by `stack` and the two parts.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local.state import Process, StackError

POLL_SECONDS = 0.02
_PROC = Path("/proc")


def spawn(name: str, argv: list[str], *, log: Path, environ: Mapping[str, str]) -> Process:
    """Starts a process in a session of its own, its output in `log`; it survives the exit of this one.

    posix_spawn rather than subprocess: nobody here waits for the child, and there is no object to warn about it.
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(argv[0], argv, dict(environ), file_actions=actions, setsid=True)
    started = _started(pid)
    if started is None:
        raise StackError(f"{name} died at once:\n{tail(log)}")
    return Process(name=name, pid=pid, started=started)


def alive(process: Process) -> bool:
    """Whether that very process still runs; a zombie does not."""
    with contextlib.suppress(ChildProcessError):  # another command's child, or gone
        os.waitpid(process.pid, os.WNOHANG)
    return _started(process.pid) == process.started


def stop(process: Process, *, grace_seconds: float) -> bool:
    """Asks the process to end (SIGTERM), insists after the grace (SIGKILL). False if it did not run."""
    if not alive(process):
        return False
    os.kill(process.pid, signal.SIGTERM)
    if not _ends_within(process, grace_seconds):
        kill(process)
    return True


def kill(process: Process) -> None:
    """Ends the process without asking (SIGKILL) and returns when it is gone."""
    if alive(process):
        os.kill(process.pid, signal.SIGKILL)
        if not _ends_within(process, 30.0):
            raise StackError(f"{process.name} (pid {process.pid}) does not end; the system keeps it")


def wait_until(ready: Callable[[], bool], process: Process, *, log: Path, within_seconds: float) -> None:
    """Polls `ready` while the process lives. Raises StackError with the log's tail if it dies or is too late."""
    deadline = time.monotonic() + within_seconds
    while not ready():
        if not alive(process):
            raise StackError(f"{process.name} died before it was ready; {log} ends with:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise StackError(f"{process.name} is not ready after {within_seconds:g} s; {log} ends with:\n{tail(log)}")
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """A loopback port that nobody listens on, below the range that outgoing connections are given.

    From that range a restarted part could lose its port to a client, or a client connect to itself.
    """
    for _ in range(200):
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StackError("no free port between 20000 and 32000 on 127.0.0.1")


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file, or a word that there are none."""
    try:
        text = log.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        text = []
    return "\n".join(text) or "(nothing was logged)"


def _ends_within(process: Process, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _started(pid: int) -> str | None:
    """When the living process `pid` started, as the system tells it; None for a zombie or no process."""
    if (_PROC / "self/stat").exists():
        try:
            # The command name, in brackets, may itself hold spaces and brackets.
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"  # ticks since that boot
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split(maxsplit=1)
    return None if len(answer) < 2 or answer[0].startswith("Z") else answer[1].strip()
