"""The `usher` command (contracts.md §7): one function a call, each a line over the module that does it."""

import asyncio
import runpy
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from services.runtime.settings import SettingsError
from services.tools import (
    audit_command,
    bench_command,
    dead_letters_command,
    demo_command,
    destinations_command,
    inspect_command,
    play_command,
    put_command,
    send_command,
    settings_command,
    stack_command,
    tail_command,
    topics_command,
)
from services.tools.failed import CallFailed
from services.tools.sender import Sender

app = App(
    name="usher",
    help="Keeps audiences: who entered, who exited, delivered.",
    version_flags=["--version"],
    help_flags=["--help", "-h"],
)
stack = App(name="stack", help="The local stack: a real Kafka and an S3 with notifications, on loopback only.")
app.command(stack)
inspect = App(name="inspect", help="What is kept of one identity, audience or partition, whether services run or not.")
app.command(inspect)
destinations = App(name="destinations", help="What can be delivered to, and what lets us in.")
app.command(destinations)
dead_letters = App(name="dead-letters", help="What could not be processed, and sending it again as it stands.")
app.command(dead_letters)

Json = Annotated[bool, Parameter(name="--json", negative=(), help="one JSON object a line instead of a table")]
Sending = Annotated[Sender | None, Parameter(name="*")]
Service = Literal["control", "intake", "membership", "activation"]
_REPLY = Parameter(help="seconds to wait for each reply")
Followed = Literal["changes", "replies", "imports", "sizes", "activations", "dead-letters", "audit"]


def _run(work: Coroutine[None, None, int]) -> int:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return 130


@app.command
def run(service: Service) -> None:
    """Runs one service until SIGTERM or Ctrl-C."""
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


@app.command
def topics(
    *,
    print_: Annotated[bool, Parameter(name="--print", negative=())] = False,
    acls: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> int:
    """Creates what is missing, verifies the rest, says what differs (exit 1).

    Parameters
    ----------
    print_
        Only print what the topics must be.
    acls
        Only print the rights that each service needs.
    json
        One JSON object a line.

    """
    return _run(topics_command.main(only_print=print_, acls=acls, as_json=json))


@stack.command
def up(
    *,
    fresh: Annotated[bool, Parameter(negative=())] = False,
    containers: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Starts the local stack, or finds it running.

    Parameters
    ----------
    fresh
        Throw the data of earlier runs away.
    containers
        The same stack by testcontainers, where there is a Docker engine.

    """
    return stack_command.up(fresh=fresh, containers=containers)


@stack.command
def down() -> int:
    """Stops exactly what `up` started."""
    return stack_command.down()


@stack.command
def status(*, json: Json = False) -> int:
    """Says what runs where; exit 1 if something does not."""
    return stack_command.status(as_json=json)


@app.command
def play(scenario: Path, *more: Path, json: Json = False) -> int:
    """Plays scenario files against the running system; exit 1 if expected and actual differ."""
    return _run(play_command.main([scenario, *more], as_json=json))


@app.command
def demo() -> int:
    """Stack, services, a webhook receiver and the bundled scenarios in one go; stops what it started."""
    return _run(demo_command.main())


@app.command
def audit(*, json: Json = False) -> int:
    """Checks every promise against the public topics; a line for each broken law, exit 1."""
    return _run(audit_command.main(as_json=json))


@inspect.command
def identity(space: str, id_type: str, identifier: str, *, json: Json = False) -> int:
    """Its audiences, layers and expiry, and the imports and commands that made it so."""
    return _run(inspect_command.identity(space, id_type, identifier, as_json=json))


@inspect.command
def audience(space: str, audience: str, *, json: Json = False) -> int:
    """Its size on each partition, and its layers by day."""
    return _run(inspect_command.audience(space, audience, as_json=json))


@inspect.command
def partition(number: int, *, json: Json = False) -> int:
    """Its offsets, its lag, and the age and bytes of its checkpoints."""
    return _run(inspect_command.partition(number, as_json=json))


@app.command
def send(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    timeout: Annotated[float, _REPLY] = 30.0,
    sender: Sending = None,
) -> int:
    """Publishes commands (JSON, one a line; `-` is standard input) and prints the replies; exit 1 if an item failed."""
    return _run(send_command.main(file, sender or Sender(), timeout_seconds=timeout))


@app.command
def put(file: Path, key: str, *, bucket: str | None = None) -> int:
    """Uploads a file to the settings' bucket (or `--bucket`), as any S3 client would."""
    return _run(put_command.main(file, key, bucket))


@app.command
def tail(
    what: Followed,
    *,
    from_beginning: Annotated[bool, Parameter(negative=())] = False,
    for_: Annotated[float | None, Parameter(name="--for", help="seconds, then end")] = None,
    json: Json = False,
) -> int:
    """Follows a topic in readable form until Ctrl-C."""
    return _run(tail_command.main(what, from_beginning=from_beginning, seconds=for_, as_json=json))


@destinations.command(name="list")
def list_destinations(connector: str | None = None, *, json: Json = False) -> int:
    """Lists the connectors with their settings, or one of them."""
    return destinations_command.list_all(connector, as_json=json)


@destinations.command(name="verify")
def verify_destination(space: str, destination: str, *, sender: Sending = None, json: Json = False) -> int:
    """Says whether usher can reach a destination and is let in, with its settings and secrets as they stand."""
    return _run(destinations_command.verify(space, destination, sender or Sender(), as_json=json))


Wanted = Annotated[dead_letters_command.Wanted | None, Parameter(name="*")]


@dead_letters.command(name="list")
def list_dead_letters(*, wanted: Wanted = None, json: Json = False) -> int:
    """Lists dead letters by space, destination, activation, reason (a code), and time."""
    return _run(dead_letters_command.list_all(wanted or dead_letters_command.Wanted(), as_json=json))


@dead_letters.command
def redrive(
    *,
    wanted: Wanted = None,
    sender: Sending = None,
    timeout: Annotated[float, _REPLY] = 30.0,
    json: Json = False,
) -> int:
    """Sends the members of such deliveries again, as they stand in their audiences now; exit 1 if one can't be."""
    which = wanted or dead_letters_command.Wanted()
    return _run(dead_letters_command.redrive(which, sender or Sender(), timeout_seconds=timeout, as_json=json))


@app.command
def settings(*, json: Json = False) -> int:
    """Lists every setting: the environment variable, its default and what it is for."""
    return settings_command.main(as_json=json)


@app.command
def bench(name: str = "all", *, case: str | None = None, json: Json = False) -> int:
    """Runs a benchmark by name, or all, or one case of it, on a system of its own; prints medians and spread."""
    return _run(bench_command.main(name, case=case, as_json=json))


def main() -> None:
    """Entry point of the `usher` script; the one place where a call that failed becomes a line and an exit code."""
    try:
        code = app()
    except (CallFailed, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
