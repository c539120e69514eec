"""A service process from its start to its exit code, as an operator meets it: signals, drains, failures."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]

SERVICE = """
import asyncio, sys, time
from services.runtime import lifecycle
from services.runtime.failures import Fatal, Unavailable

lifecycle.DRAIN_SECONDS = 0.5
lifecycle._CANCEL_SECONDS = 0.5

async def main(settings, health, stopping):
    print("ready", flush=True)
    await {work}

async def drains(stopping):
    await stopping.wait()
    print("drained", flush=True)

async def hangs():
    try:
        await asyncio.Event().wait()
    finally:
        print("cancelled", flush=True)

async def fails(error):
    async with asyncio.TaskGroup() as group:
        group.create_task(raises(error))
        group.create_task(hangs())

async def raises(error):
    raise error

sys.exit(lifecycle.run_service("test", main, requires={requires}))
"""


class Process:
    def __init__(self, folder: Path, work: str, requires: tuple[str, ...] = (), **environ: str) -> None:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("USHER_")}
        self.popen = subprocess.Popen(
            [sys.executable, "-c", SERVICE.format(work=work, requires=requires)],
            cwd=folder,
            env=kept | {"PYTHONPATH": str(PROJECT), "USHER_KAFKA_BOOTSTRAP_SERVERS": "a:1"} | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> "Process":
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline() == "ready\n"
        return self

    def ended(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate(timeout=30)
        return self.popen.returncode, out, err


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def here(work: str, requires: tuple[str, ...] = (), **environ: str) -> Process:
        started.append(Process(tmp_path, work, requires, **environ))
        return started[-1]

    yield here
    for process in started:
        process.popen.kill()
        process.popen.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_with_0(start: Start, number: signal.Signals) -> None:
    process = start("drains(stopping)").ready()
    process.popen.send_signal(number)
    code, out, err = process.ended()
    assert (code, out) == (0, "drained\n")
    events = [line.split('"event": "')[1].split('"')[0] for line in err.splitlines()]
    assert events == ["service-started", "stop-asked", "service-stopped"]


def test_what_does_not_drain_is_cancelled_and_exits_with_1(start: Start) -> None:
    process = start("hangs()").ready()
    process.popen.send_signal(signal.SIGTERM)
    code, out, err = process.ended()
    assert (code, out) == (1, "cancelled\n")
    assert "drain-late" in err


def test_a_thread_that_never_returns_does_not_hold_the_exit_up(start: Start) -> None:
    process = start("asyncio.shield(asyncio.to_thread(time.sleep, 600))").ready()
    process.popen.send_signal(signal.SIGTERM)
    assert process.ended()[0] == 1


def test_a_second_signal_exits_at_once(start: Start) -> None:
    process = start("asyncio.Event().wait()").ready()
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.stderr is not None
    while "stop-asked" not in process.popen.stderr.readline():
        pass
    began = time.monotonic()
    process.popen.send_signal(signal.SIGTERM)
    assert process.ended()[0] == 128 + signal.SIGTERM
    assert time.monotonic() - began < 0.5, "before the drain is over"


def test_fatal_exits_with_1_and_its_message_alone(start: Start) -> None:
    code, out, err = start('fails(Fatal("run usher topics"))').ended()
    assert (code, out) == (1, "ready\ncancelled\n")
    assert '"reason": "run usher topics"' in err
    assert "Traceback" not in err


def test_a_bug_exits_with_1_and_a_traceback_without_local_variables(start: Start) -> None:
    code, _, err = start('fails(KeyError("oops"))').ended()
    assert code == 1
    assert "Traceback" in err
    assert "KeyError: 'oops'" in err


def test_wrong_settings_exit_with_2_before_anything_begins(start: Start) -> None:
    process = start("hangs()", ("s3_bucket",), USHER_HTTP_PORT="x")
    assert process.ended()[:2] == (2, "")
    code, _, err = start("hangs()", ("s3_bucket",)).ended()
    assert code == 2
    assert err.startswith("usher can't start: 1 wrong or missing setting(s)\n  USHER_S3_BUCKET  is required")


def test_secrets_and_misspelt_variables_in_the_first_lines(start: Start) -> None:
    process = start(
        "asyncio.sleep(0)",
        USHER_KAFKA_SASL_PASSWORD="hunter2",
        USHER_TOPIC_PREFX="x",
    )
    code, _, err = process.ended()
    assert code == 0
    assert "hunter2" not in err
    assert "USHER_TOPIC_PREFX" in err
