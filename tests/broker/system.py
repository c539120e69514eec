"""usher as it is deployed, seen from outside: four processes on the session's Kafka and S3.

Topics, bucket and queue are its own, so that nothing else of the session reads its notifications. Owns the processes;
what a test does in it stands in `space`.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import boto3
import pytest
from botocore.config import Config
from prometheus_client.parser import text_string_to_metric_families

from contracts.catalog import PartitionSetting
from deploy.local.processes import free_port
from deploy.local.state import StackState, settings_of
from services.adapters.connect import open_kafka, open_objects
from services.runtime.environment import load_settings
from services.runtime.log import Log
from services.runtime.objects import Objects
from services.tools.audit_command import audit
from services.tools.children import Children, compiled_once
from services.tools.topics import SERVICES, ensure_topics
from services.tools.topics_command import specs_of

DEADLINE_SECONDS: Final = 60.0
NOTHING: Final[Mapping[str, str]] = {}
OBJECT_BYTES_MAX: Final = 24 << 20
PLAIN_OBJECT_BYTES_MAX: Final = 100_000
CHECKPOINT_INPUT_BYTES: Final = 300_000  # a few files: whoever is killed comes back by checkpoint and tail
SECRET: Final = "whsec_" + base64.b64encode(b"a secret of tests, of thirty-two").decode()
SECRET_REFERENCE: Final = "env:USHER_SECRET_TESTS"
VISIBLE_AGAIN_SECONDS: Final = 2  # what a killed intake had received comes again after so long
PARTITIONS: Final[dict[PartitionSetting, int]] = {"control": 2, "membership": 4, "intake": 2, "deliveries": 2}


class System:
    """The running services, and what a user of them has: a log, a bucket, the `usher` command."""

    def __init__(self, environment: Mapping[str, str], log: Log, objects: Objects, children: Children) -> None:
        self.environment = dict(environment)
        self.log = log
        self.objects = objects
        self.bucket = environment["USHER_S3_BUCKET"]
        self.quiet_bucket = f"{self.bucket}-quiet"  # announces nothing: tests do, as they like
        self.queue_url = environment["USHER_OBJECT_NOTIFICATIONS"].removeprefix("sqs:")
        self.s3, self.sqs = (client(service, environment) for service in ("s3", "sqs"))
        self._children = children
        self._ports: dict[str, int] = {}
        self._pids: dict[str, int] = {}
        self._said: set[str] = set()

    async def start(self, service: str, settings: Mapping[str, str] = NOTHING) -> None:
        """Does not wait. `membership-2` is one more process of membership.

        The instance id is the same over restarts, so that a group takes its member back at once.
        """
        self._ports.setdefault(service, free_port())
        own = {"USHER_HTTP_PORT": str(self._ports[service]), "USHER_INSTANCE_ID": service, **settings}
        module = f"services.{service.partition('-')[0]}"
        self._pids[service] = await self._children.start(service, module, [], self.environment | own)

    @asynccontextmanager
    async def another(self, service: str, settings: Mapping[str, str] = NOTHING) -> AsyncIterator[None]:
        """One more process, that is ready; it is gone afterwards also where a test has failed."""
        await self.start(service, settings)
        try:
            await self.ready(service)
            yield
        except BaseException:
            with suppress(KeyError):  # it may be dead just now
                await self.stop(service)
            raise
        await self.stop(service)

    async def ready(self, *services: str) -> None:
        """Returns when they all say that they do their work."""
        for service in services or SERVICES:
            await eventually(f"{service} is ready", partial(self._is_ready, service))

    async def kill(self, service: str) -> None:
        """`kill -9`."""
        await self._children.kill(service)

    async def stop(self, service: str) -> int:
        """SIGTERM; returns the exit code."""
        return await self._children.stop(service)

    def freeze(self, service: str) -> None:
        """It does nothing until it is thawed: so long as it holds its place in the group, nobody else does either."""
        os.kill(self._pids[service], signal.SIGSTOP)

    def thaw(self, service: str) -> None:
        os.kill(self._pids[service], signal.SIGCONT)

    def ended(self) -> list[str]:
        """The ends of the logs of services that nobody asked to end."""
        return self._children.ended()

    def log_of(self, service: str) -> str:
        return self._children.log(service).read_text(errors="replace")

    async def answer(self, service: str, path: str) -> tuple[int, str]:
        """The status and the body of the service's own HTTP server."""
        async with aiohttp.ClientSession() as web, web.get(f"http://127.0.0.1:{self._ports[service]}{path}") as got:
            return got.status, await got.text()

    async def metric(self, service: str, name: str, **labels: str) -> float:
        """The sum of the samples of that name which carry these labels."""
        _, text = await self.answer(service, "/metrics")
        samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())

    async def put(self, key: str, body: bytes, *, bucket: str | None = None, **arguments: str) -> str:
        """As any S3 client would; returns the eTag."""
        done = await asyncio.to_thread(
            self.s3.put_object, Bucket=bucket or self.bucket, Key=key, Body=body, **arguments
        )
        return str(done["ETag"]).strip('"')

    async def notify(self, *bodies: str) -> None:
        """Puts messages of our own making into the queue of notifications."""
        for body in bodies:
            await asyncio.to_thread(self.sqs.send_message, QueueUrl=self.queue_url, MessageBody=body)

    async def usher(
        self, *arguments: str, stdin: str = "", folder: Path = Path(), environment: Mapping[str, str] = NOTHING
    ) -> "subprocess.CompletedProcess[str]":
        """Runs the `usher` command as a person would, in `folder`; an empty variable counts as absent."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "services.tools", *arguments],
            env={**os.environ, **self.environment, **environment}, cwd=folder,
            input=stdin, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS,
        )  # fmt: skip

    async def broken_promises(self) -> list[str]:
        """The audit of everything, as soon as it is clean; what it says at the deadline where it never is.

        What it has said of an earlier test is left out: the test that broke a law is the one that fails.
        """
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS / 3
        while lines := [line for line in (await audit(self.log)).lines if line not in self._said]:
            if asyncio.get_running_loop().time() > deadline:
                self._said.update(lines)
                break
            await asyncio.sleep(0.2)  # counters follow what they count
        return lines

    async def _is_ready(self, service: str) -> bool:
        try:
            return (await self.answer(service, "/readyz"))[0] == 200
        except aiohttp.ClientError:
            return False


async def eventually(what: str, condition: Callable[[], Awaitable[bool]]) -> None:
    """Asks until the condition holds; fails, naming `what`, after the deadline."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"not in time: {what}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def running_system(
    stack: StackState, folder: Path, *, replicas: int = 1, services: Sequence[str] = SERVICES
) -> AsyncIterator[System]:
    """The services, ready; they and what they wrote on disk are gone at the end."""
    environment = _environment(stack) | compiled_once(folder / "compiled")
    environment["USHER_TOPIC_REPLICATION_FACTOR"] = str(replicas)
    async with AsyncExitStack() as opened:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            settings = load_settings()
            log = await opened.enter_async_context(open_kafka(settings, client_id="tests"))
            objects = await opened.enter_async_context(open_objects(settings))
        await ensure_topics(log, specs_of(settings))
        children = await opened.enter_async_context(Children(folder / "logs"))
        system = System(environment, log, objects, children)
        await asyncio.gather(*(system.start(service) for service in services))
        await system.ready(*services)
        yield system


def client(service: str, environment: Mapping[str, str]) -> Any:
    """A boto3 client for the stack's S3 or SQS."""
    return boto3.client(
        service,
        endpoint_url=environment[f"USHER_{service.upper()}_ENDPOINT_URL"],
        region_name=environment["USHER_S3_REGION"],
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        config=Config(proxies={}, s3={"addressing_style": "path"}, max_pool_connections=20),
    )


def _environment(stack: StackState) -> dict[str, str]:
    """The settings of the four services, their bucket and queue made."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    environment = settings_of(stack) | {
        "USHER_TOPIC_PREFIX": name,
        **{f"USHER_TOPIC_PARTITIONS_{which.upper()}": str(count) for which, count in PARTITIONS.items()},
        "USHER_S3_BUCKET": name,
        "USHER_OBJECT_BYTES_MAX": str(OBJECT_BYTES_MAX),
        "USHER_PLAIN_OBJECT_BYTES_MAX": str(PLAIN_OBJECT_BYTES_MAX),
        "USHER_CHECKPOINT_INPUT_BYTES": str(CHECKPOINT_INPUT_BYTES),
        "USHER_ALLOW_PRIVATE_DESTINATIONS": "true",
        "USHER_DELIVERY_PROBE_SECONDS": "1",
        "USHER_COMMAND_TOPICS": "commands.v1=operator,crm.commands.v1=crm,open.commands.v1,desk.commands.v1=crm=desk.replies.v1",
        SECRET_REFERENCE.removeprefix("env:"): SECRET,
    }
    s3, sqs = (client(service, environment) for service in ("s3", "sqs"))
    for bucket in (name, f"{name}-quiet"):
        s3.create_bucket(Bucket=bucket)
    attributes = {"VisibilityTimeout": str(VISIBLE_AGAIN_SECONDS)}
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
              "Action": "sqs:SendMessage", "Resource": arn}]}  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    s3.put_bucket_notification_configuration(
        Bucket=name,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
    )
    return environment | {"USHER_OBJECT_NOTIFICATIONS": f"sqs:{url}"}
