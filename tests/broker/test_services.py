"""The life of a service process: probes and metrics, SIGTERM in the midst of work, and refusals to start."""

import asyncio
import socket
import uuid

import pytest

from services.tools.receiver import Receiver
from services.tools.topics import SERVICES
from tests.broker.space import Space, named, rows
from tests.broker.system import SECRET_REFERENCE, System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

WRONG_SETTINGS = {
    "USHER_KAFKA_BOOTSTRAP_SERVERS": "nowhere",
    "USHER_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "USHER_TOPIC_PREFIX": "a b",
    "USHER_TOPIC_PARTITIONS_CONTROL": "many",
    "USHER_OBJECT_NOTIFICATIONS": "pigeon:carrier",
    "USHER_LOG_LEVEL": "LOUD",
    "USHER_HTTP_PORT": "70000",
}


@pytest.mark.parametrize("service", SERVICES)
async def test_probes_and_metrics(system: System, service: str) -> None:
    answers = {path: await system.answer(service, path) for path in ("/livez", "/readyz", "/metrics", "/else")}

    assert {path: status for path, (status, _) in answers.items()} == {
        "/livez": 200,
        "/readyz": 200,
        "/metrics": 200,
        "/else": 404,
    }
    assert "usher_service_started_total" in answers["/metrics"][1]
    assert await system.metric(service, "process_open_fds") > 0


@pytest.mark.parametrize("service", SERVICES)
async def test_sigterm_in_the_midst_of_work_loses_nothing(
    space: Space, system: System, receiver: tuple[Receiver, str], service: str
) -> None:
    got, url = receiver
    await space.audiences("a")
    await space.feed("full")
    await space.destination("d", url, secrets={"signing": SECRET_REFERENCE})
    await space.send("activations.create", {"name": "x", "audience": "a", "destination": "d"})
    key = await space.put("full/1", rows("a", range(20_000)))
    await space.until("it has begun", lambda: space.imports(key))

    exit_code = await system.stop(service)
    last = system.log_of(service).splitlines()[-1]
    await system.start(service)
    await system.ready(service)

    assert exit_code == 0
    assert '"event": "service-stopped"' in last
    assert (await space.ended(key)).state == "applied"
    await space.until("all is delivered", lambda: space.delivered("x", changes=20_000))
    assert set(got.received.members(space.observed.id_of("activation", "x"))) == named(range(20_000))
    assert got.received.counters["conflicts"] == 0


async def test_wrong_settings_are_all_named_at_once(system: System) -> None:
    done = await system.usher("run", "intake", environment=WRONG_SETTINGS)

    assert done.returncode == 2
    for name in WRONG_SETTINGS.keys() - {"USHER_KAFKA_SECURITY_PROTOCOL"}:
        assert name in done.stderr
    assert "USHER_KAFKA_SASL_PASSWORD" in done.stderr  # what the protocol asks for
    assert "Traceback" not in done.stderr


async def test_without_topics_a_service_says_what_to_do(system: System) -> None:
    nobodys = {"USHER_TOPIC_PREFIX": f"none-{uuid.uuid4().hex[:8]}"}

    ended = await asyncio.gather(*(system.usher("run", service, environment=nobodys) for service in SERVICES))

    for done in ended:
        assert done.returncode == 1, done.args
        assert "usher topics" in done.stdout + done.stderr, done.args
        assert "Traceback" not in done.stdout + done.stderr, done.args


async def test_a_port_that_is_taken_is_said(system: System) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        done = await system.usher("run", "membership", environment={"USHER_HTTP_PORT": str(port)})

    assert done.returncode == 1
    assert f"USHER_HTTP_PORT={port}" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
