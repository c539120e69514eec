"""The same stack from a Docker engine, by testcontainers: which images, with which settings.

testcontainers is in no dependency group (`pip install testcontainers` adds it) and is imported only when containers
are asked for. Called by `stack`.
"""

import contextlib
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from deploy.local.jars import KAFKA_VERSION
from deploy.local.kafka import broker_settings
from deploy.local.state import StackError

START_WITHIN_SECONDS = 120.0
_CONTROLLER_PORT = 9093  # within the container


def start(ports: Mapping[str, int], say: Callable[[str], None]) -> tuple[str, ...]:
    """Starts a container for each of `kafka` and `s3` that has a port, published on loopback. Returns their ids.

    They outlive this process; `remove` ends them. Raises StackError without testcontainers or an engine.
    """
    ids: list[str] = []
    try:
        for name, port in ports.items():
            say(f"starting {name} in a container; a first run downloads its image")
            ids.append(_started(_image(name), _environment(name, port), inner=_inner(name, port), port=port))
    except BaseException:
        remove(ids)
        raise
    return tuple(ids)


def wait_until_all(ready: Sequence[Callable[[], bool]], ids: Sequence[str]) -> None:
    """Polls until all are ready. Ends the containers and raises StackError if they take too long."""
    deadline = time.monotonic() + START_WITHIN_SECONDS
    while not all(is_ready() for is_ready in ready):
        if time.monotonic() > deadline:
            logs = "\n".join(_container(one).logs(tail=20).decode(errors="replace") for one in ids)
            remove(ids)
            raise StackError(f"the containers are not ready after {START_WITHIN_SECONDS:g} s:\n{logs}")
        time.sleep(0.1)


def remove(ids: Sequence[str]) -> None:
    """Ends and removes the containers; one that is gone already is passed over."""
    for one in ids:
        with contextlib.suppress(importlib.import_module("docker.errors").NotFound):
            _container(one).remove(force=True, v=True)


def _image(name: str) -> str:
    return f"apache/kafka:{KAFKA_VERSION}" if name == "kafka" else f"motoserver/moto:{version('moto')}"


def _inner(name: str, port: int) -> int:
    """The broker tells clients its own port, so inside and outside must agree; moto does not care."""
    return port if name == "kafka" else 5000


def _environment(name: str, port: int) -> dict[str, str]:
    """The image of Kafka reads each setting from a variable; moto's needs none."""
    if name != "kafka":
        return {}
    settings = broker_settings("/var/lib/kafka/data", port, _CONTROLLER_PORT, listen="0.0.0.0")  # noqa: S104 - inside
    return {f"KAFKA_{key.upper().replace('.', '_')}": str(value) for key, value in settings.items()}


def _started(image: str, environment: dict[str, str], *, inner: int, port: int) -> str:
    try:
        # The reaper would end the containers with this process.
        importlib.import_module("testcontainers.core.config").testcontainers_config.ryuk_disabled = True
        core = importlib.import_module("testcontainers.core.container")
    except ModuleNotFoundError as error:
        raise StackError("containers need testcontainers: `pip install testcontainers`") from error
    try:
        container = core.DockerContainer(image, env=environment)
        container.ports[f"{inner}/tcp"] = ("127.0.0.1", port)  # with_bind_ports knows no address
        container.start()
    except importlib.import_module("docker.errors").DockerException as error:
        raise StackError(f"no Docker engine started {image}: {error}") from error
    return str(container.get_container_id())


def _container(one: str) -> Any:
    return importlib.import_module("docker").from_env().containers.get(one)
