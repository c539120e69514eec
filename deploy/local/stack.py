"""The local stack as a whole: `up`, `down`, `status`.

Composes `kafka` and `s3`, or asks `containers` for them, and never ends what it did not start.
Called by `usher stack`, `usher demo`, `python -m deploy.local` and the tests.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from deploy.local import containers as engine
from deploy.local import kafka, processes, s3
from deploy.local.state import (
    Layout,
    Process,
    StackState,
    forget_state,
    make_private_folder,
    read_state,
    write_state,
)

_STOP_WITHIN_SECONDS = {"kafka": kafka.STOP_WITHIN_SECONDS, "s3": s3.STOP_WITHIN_SECONDS}


def up(
    root: Path,
    *,
    fresh: bool = False,
    containers: bool = False,
    say: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> StackState:
    """Brings the stack at `root` up, or finds it up; returns when Kafka and S3 answer.

    `fresh` throws away the data of earlier runs; `containers` asks a Docker engine for the parts instead, and they
    keep no data. USHER_KAFKA_BOOTSTRAP_SERVERS and USHER_S3_ENDPOINT_URL in `environ` are used as given, and
    nothing is started in their place. Raises StackError.
    """
    layout = Layout(root)
    make_private_folder(layout.folder)
    with _locked(layout):
        previous = read_state(root)
        if fresh or (previous is not None and bool(previous.containers) != containers):
            _end(root, say, keep_objects=not fresh)
            previous = None
        if fresh:
            _empty(layout)
        kept = () if previous is None else _usable(previous, say)
        state = _planned(previous, kept, environ)
        missing = _missing(state, environ)
        if containers:
            state = _contained(root, state, previous, missing, say)
        elif missing:
            state = _start(root, state, missing, say)
        else:
            say("the local stack is up already" if kept else "nothing to start: Kafka and S3 are given")
        if "s3" in missing or state.process("s3"):
            s3.provision(state, layout)
        write_state(root, state)
        return state


def down(root: Path, say: Callable[[str], None], *, keep_objects: bool = True) -> bool:
    """Ends what `up` started at `root`, and only that; data and logs stay. False if there was no stack."""
    layout = Layout(root)
    if not layout.folder.exists():
        return False
    with _locked(layout):
        return _end(root, say, keep_objects=keep_objects)


def status(root: Path) -> StackState | None:
    """The stack that is at `root`, or None; `liveness` tells whether its parts still run."""
    return read_state(root)


def liveness(state: StackState) -> dict[str, str]:
    """For `kafka` and `s3`: `given`, `running` (it answers), `silent` (it lives and does not answer) or `dead`."""
    answers = {
        "kafka": lambda: kafka.answers(state.kafka_bootstrap_servers),
        "s3": lambda: s3.answers(state.s3_endpoint_url),
    }
    return {name: _liveness(state, name, check) for name, check in answers.items()}


def _liveness(state: StackState, name: str, answers: Callable[[], bool]) -> str:
    process = state.process(name)
    if process is None and not state.containers:
        return "given"
    if process is not None and not processes.alive(process):
        return "dead"
    return "running" if answers() else "silent"


def _usable(state: StackState, say: Callable[[str], None]) -> tuple[Process, ...]:
    """The processes that still answer. What lives and does not answer is ended."""
    found = liveness(state)
    if found["s3"] == "dead":
        say("S3 died since it was started, and what it held since then is lost; `up --fresh` starts over")
    for process in state.processes:
        if found[process.name] == "silent":
            say(f"{process.name} (pid {process.pid}) does not answer: ending it")
            processes.stop(process, grace_seconds=_STOP_WITHIN_SECONDS[process.name])
    return tuple(process for process in state.processes if found[process.name] == "running")


def _planned(previous: StackState | None, kept: tuple[Process, ...], environ: Mapping[str, str]) -> StackState:
    """The state to reach: addresses given by the environment, kept from `previous`, or on free ports."""
    running = {process.name for process in kept}
    servers = environ.get("USHER_KAFKA_BOOTSTRAP_SERVERS")
    if not servers:
        reuse = previous is not None and "kafka" in running
        servers = previous.kafka_bootstrap_servers if previous and reuse else _loopback()
    if environ.get("USHER_S3_ENDPOINT_URL"):
        return StackState(
            kafka_bootstrap_servers=servers,
            s3_endpoint_url=environ["USHER_S3_ENDPOINT_URL"],
            sqs_endpoint_url=environ.get("USHER_SQS_ENDPOINT_URL", ""),
            s3_region=environ.get("USHER_S3_REGION", s3.REGION),
            s3_bucket=environ.get("USHER_S3_BUCKET", s3.BUCKET),
            object_notifications=environ.get("USHER_OBJECT_NOTIFICATIONS", ""),
            state_url=environ.get("USHER_STATE_URL", f"s3://{s3.STATE_BUCKET}/membership"),
            aws_access_key_id="",  # the caller's own stay where they are: nothing secret is written down
            aws_secret_access_key="",
            processes=kept,
        )
    endpoint = previous.s3_endpoint_url if previous and "s3" in running else f"http://{_loopback()}"
    return StackState(
        kafka_bootstrap_servers=servers,
        s3_endpoint_url=endpoint,
        sqs_endpoint_url=endpoint,
        s3_region=s3.REGION,
        s3_bucket=s3.BUCKET,
        object_notifications=f"sqs:{s3.queue_url(endpoint)}",
        state_url=f"s3://{s3.STATE_BUCKET}/membership",
        aws_access_key_id="usher-local",
        aws_secret_access_key="usher-local",  # noqa: S106 - moto accepts any
        processes=kept,
    )


def _missing(state: StackState, environ: Mapping[str, str]) -> set[str]:
    given = {"kafka": "USHER_KAFKA_BOOTSTRAP_SERVERS", "s3": "USHER_S3_ENDPOINT_URL"}
    return {name for name, setting in given.items() if not environ.get(setting) and state.process(name) is None}


def _start(root: Path, state: StackState, missing: set[str], say: Callable[[str], None]) -> StackState:
    """Starts the missing parts side by side and waits for both; ends what it started if one fails."""
    layout = Layout(root)
    make_private_folder(layout.logs)
    kept = state.processes
    started: list[Process] = []
    begun = time.monotonic()
    try:
        if "s3" in missing:
            started.append(s3.start(layout, _port(state.s3_endpoint_url)))
            state = _with_process(state, started[-1])
            write_state(root, state)
        if "kafka" in missing:
            port = _port(state.kafka_bootstrap_servers)
            started.append(kafka.start(layout, port, processes.free_port(), say))
            state = _with_process(state, started[-1])
            write_state(root, state)
        for process in started:
            _wait_for(process, state, layout)
            say(f"{process.name} is up (pid {process.pid})")
    except BaseException:
        for process in started:
            processes.kill(process)
        if kept:
            write_state(root, msgspec.structs.replace(state, processes=kept))
        else:
            forget_state(root)
        raise
    say(f"up in {time.monotonic() - begun:.1f} s; data and logs in {layout.folder}")
    return state


def _contained(
    root: Path, state: StackState, previous: StackState | None, missing: set[str], say: Callable[[str], None]
) -> StackState:
    """The missing parts in containers; those of `previous`, if both still answer."""
    if previous is not None and previous.containers:
        if kafka.answers(previous.kafka_bootstrap_servers) and s3.answers(previous.s3_endpoint_url):
            say("the local stack is up already")
            return previous
        engine.remove(previous.containers)
    ports = {"kafka": _port(state.kafka_bootstrap_servers), "s3": _port(state.s3_endpoint_url)}
    state = msgspec.structs.replace(
        state, containers=engine.start({name: ports[name] for name in sorted(missing)}, say)
    )
    write_state(root, state)
    engine.wait_until_all(
        [lambda: kafka.ready(state.kafka_bootstrap_servers), lambda: s3.answers(state.s3_endpoint_url)],
        state.containers,
    )
    return state


def _wait_for(process: Process, state: StackState, layout: Layout) -> None:
    if process.name == "kafka":
        kafka.wait_for(process, state.kafka_bootstrap_servers, layout)
    else:
        s3.wait_for(process, state.s3_endpoint_url, layout)


def _end(root: Path, say: Callable[[str], None], *, keep_objects: bool) -> bool:
    state, layout = read_state(root), Layout(root)
    if state is None:
        return False
    found = liveness(state)
    if keep_objects and found["s3"] == "running":
        say(f"kept {s3.save(state, layout)} objects for the next `up`")
    for process in state.processes:
        if processes.stop(process, grace_seconds=_STOP_WITHIN_SECONDS[process.name]):
            say(f"{process.name} ended (pid {process.pid})")
    engine.remove(state.containers)
    forget_state(root)
    return True


def _empty(layout: Layout) -> None:
    layout.objects.unlink(missing_ok=True)
    for folder in (layout.kafka, layout.spool):
        if folder.exists():
            shutil.rmtree(folder)


def _with_process(state: StackState, process: Process) -> StackState:
    others = (other for other in state.processes if other.name != process.name)
    return msgspec.structs.replace(state, processes=(*others, process))


def _loopback() -> str:
    return f"127.0.0.1:{processes.free_port()}"


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


@contextlib.contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    """One `up` or `down` at a time at one root; the system lets the lock go if its holder dies."""
    with layout.lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
