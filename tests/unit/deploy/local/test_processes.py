"""Processes are ended when they are ours, however stubborn, and never when they only have our pid."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from deploy.local.processes import alive, free_port, kill, spawn, stop, tail, wait_until
from deploy.local.state import Process, StackError

Start = Callable[[str], Process]
FOREVER = "print('ready', flush=True); import time; time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOREVER}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "process.log"


@pytest.fixture
def start(log: Path) -> Iterator[Start]:
    """Starts Python with the program and waits until it printed something, if it is one that does."""
    started: list[Process] = []

    def begin(program: str) -> Process:
        process = spawn("program", [sys.executable, "-c", program], log=log, environ=os.environ)
        started.append(process)
        if FOREVER in program:
            wait_until(lambda: "ready" in tail(log), process, log=log, within_seconds=20)
        return process

    yield begin
    for process in started:
        kill(process)


def test_a_process_leads_a_session_of_its_own_and_ends_when_asked(start: Start) -> None:
    process = start(FOREVER)
    assert alive(process)
    assert os.getsid(process.pid) == process.pid
    assert stop(process, grace_seconds=20)
    assert not alive(process)
    assert not stop(process, grace_seconds=20), "there is nothing left to end"


@pytest.mark.parametrize("hindrance", ["deaf", "stopped"])
def test_a_process_that_does_not_end_when_asked_is_killed(start: Start, hindrance: str) -> None:
    process = start(DEAF if hindrance == "deaf" else FOREVER)
    if hindrance == "stopped":
        os.kill(process.pid, signal.SIGSTOP)
    assert stop(process, grace_seconds=0.1)
    assert not alive(process)


def test_a_pid_that_was_given_to_another_process_is_not_ended(start: Start) -> None:
    process = start(FOREVER)
    earlier = msgspec.structs.replace(process, started="another time")
    assert not alive(earlier)
    assert not stop(earlier, grace_seconds=0)
    kill(earlier)
    assert alive(process)


def test_a_process_that_dies_before_it_is_ready_is_reported_with_its_last_words(start: Start, log: Path) -> None:
    process = start("import sys; sys.exit('no such luck')")
    with pytest.raises(StackError, match=r"(?s)program died before it was ready.*no such luck"):
        wait_until(lambda: False, process, log=log, within_seconds=20)


def test_a_process_that_is_too_slow_is_reported(start: Start, log: Path) -> None:
    process = start(FOREVER)
    with pytest.raises(StackError, match=r"(?s)program is not ready after 0 s.*ready"):
        wait_until(lambda: False, process, log=log, within_seconds=0)


def test_a_start_empties_the_log_of_the_one_before(start: Start, log: Path) -> None:
    for word in ("first", "second"):
        process = start(f"print('{word}')")
        deadline = time.monotonic() + 20
        while alive(process) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert log.read_text() == "second\n"


def test_a_free_port_can_be_listened_on_and_is_none_of_the_outgoing_ones() -> None:
    port = free_port()
    assert 20_000 <= port < 32_000
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, "(nothing was logged)"), ("", "(nothing was logged)"), ("a\nb\nc\n", "b\nc")],
)
def test_the_tail_of_a_log(log: Path, text: str | None, expected: str) -> None:
    if text is not None:
        log.write_text(text)
    assert tail(log, lines=2) == expected
