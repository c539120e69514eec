"""What the broker is asked about topics and groups, and told to create and delete. One per `KafkaLog`.

Its clients are made when they are first needed, and reconnect by themselves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import aiokafka
from aiokafka import AIOKafkaClient, AIOKafkaConsumer
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import CoordinationType

from contracts.catalog import TopicSpec
from contracts.records import TopicPartition
from services.adapters.kafka import internals
from services.adapters.kafka.admission import starting
from services.adapters.kafka.errors import translated
from services.adapters.kafka.offset_forms import UNSTABLE_OFFSET_COMMIT, StableOffsetFetch
from services.adapters.kafka.settings import KafkaSettings
from services.adapters.topic_form import MESSAGE_BYTES, topic_differences, topic_settings
from services.runtime.failures import Unavailable

_WRITABLE_WITHIN_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.05
_REPLICAS: Final = 3  # what survives the loss of one broker while another is being replaced


class _Undecided(kafka.BrokerResponseError):  # type: ignore[misc] # aiokafka ships no types
    """A transaction has added offsets: to be asked again until it is decided."""

    errno = UNSTABLE_OFFSET_COMMIT
    retriable = True


class KafkaTopics:
    """Topics, offsets, settings. Names and partitions are ours, without prefix."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._making = asyncio.Lock()
        self._clients: dict[str, Any] = {}
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._known: set[str] = set()
        self._limits: dict[str, int] = {}

    async def partitions(self, names: Sequence[str]) -> dict[str, int]:
        """How many partitions each topic has; those that do not exist, or have no leader yet, are absent."""
        return {name: len(replicas) for name, replicas in (await self._replicas_of(names)).items()}

    async def names(self) -> list[str]:
        """All topics with the prefix."""
        admin: AIOKafkaAdminClient = await self._made("admin", self._admin)
        with translated("listing topics"):
            found = await admin.list_topics()
        return sorted(name for topic in found if (name := self._settings.name(topic)) is not None)

    async def ensure(self, spec: TopicSpec) -> None:
        """Creates it where it is missing, and returns when every partition has a leader."""
        if not await self.partitions([spec.name]):
            await self._create(spec)
        with translated(f"waiting for the topic {spec.name}"):
            async with asyncio.timeout(_WRITABLE_WITHIN_SECONDS):
                while not await self.partitions([spec.name]):  # noqa: ASYNC110 - only the broker knows
                    await asyncio.sleep(_RETRY_SECONDS)

    async def differences(self, spec: TopicSpec) -> list[str]:
        """See the port."""
        replicas = (await self._replicas_of([spec.name])).get(spec.name)
        if replicas is None:
            return ["missing"]
        settings = (await self._topic_settings([spec.name]))[spec.name]
        return topic_differences(spec, len(replicas), settings, replicas=min(replicas))

    async def limits(self, names: Iterable[str]) -> dict[str, int]:
        """The largest batch that each topic takes, in bytes; asked once, until `forget_limits`."""
        wanted = list(names)
        if unknown := [name for name in wanted if name not in self._limits]:
            for name, settings in (await self._topic_settings(unknown)).items():
                self._limits[name] = int(settings[MESSAGE_BYTES])
        return {name: self._limits[name] for name in wanted}

    def forget_limits(self, names: Iterable[str]) -> None:
        """They have turned out to be otherwise."""
        for name in names:
            self._limits.pop(name, None)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """An offset past the end counts as the end."""
        ends = await self.end_offsets(list(before), committed_only=False)
        admin: AIOKafkaAdminClient = await self._made("admin", self._admin)
        with translated("deleting records"):
            await admin.delete_records(
                {
                    self._settings.theirs(partition): RecordsToDelete(min(offset, ends[partition]))
                    for partition, offset in before.items()
                },
                timeout_ms=round(self._settings.request_timeout_seconds * 1000),
            )

    async def begin_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Raises `Unavailable` where a topic is missing."""
        consumer = await self._offsets(committed_only=False)
        return await self._asked(consumer, consumer.beginning_offsets, partitions)

    async def end_offsets(
        self, partitions: Sequence[TopicPartition], *, committed_only: bool
    ) -> dict[TopicPartition, int]:
        """Raises `Unavailable` where a topic is missing."""
        consumer = await self._offsets(committed_only=committed_only)
        return await self._asked(consumer, consumer.end_offsets, partitions)

    async def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Asked by a request of our own: aiokafka takes a coordinator that is loading for a group without offsets."""
        topics: dict[str, list[int]] = {}
        for partition in partitions:
            topics.setdefault(self._settings.full(partition.topic), []).append(partition.partition)
        if not topics:
            return {}
        request = StableOffsetFetch(self._settings.full(group), topics)
        client: AIOKafkaClient = await self._made("group offsets", self._client)
        with translated(f"asking for the offsets of {group}"):
            async with asyncio.timeout(self._settings.request_timeout_seconds):
                while True:
                    try:
                        node = await client.coordinator_lookup(CoordinationType.GROUP, self._settings.full(group))
                        return self._offsets_of(await client.send(node, request))
                    except kafka.KafkaError as error:
                        if not error.retriable:
                            raise
                        await asyncio.sleep(_RETRY_SECONDS)

    async def close(self) -> None:
        """Closes what was made; nothing may be asked any more."""
        for closing in self._closing:
            await closing()

    def _offsets_of(self, answer: Any) -> dict[TopicPartition, int]:
        if answer.error_code:
            raise kafka.for_code(answer.error_code)
        found = {}
        for topic, partitions, _ in answer.topics:
            for partition, offset, _, _, error_code, _ in partitions:
                if error_code:
                    raise (_Undecided if error_code == UNSTABLE_OFFSET_COMMIT else kafka.for_code(error_code))(
                        f"{topic}/{partition}"
                    )
                if offset >= 0:
                    found[self._settings.ours(aiokafka.TopicPartition(topic, partition))] = offset
        return found

    async def _asked(
        self,
        consumer: AIOKafkaConsumer,
        ask: Callable[[list[aiokafka.TopicPartition]], Awaitable[dict[aiokafka.TopicPartition, int]]],
        partitions: Sequence[TopicPartition],
    ) -> dict[TopicPartition, int]:
        await self._check_known({partition.topic for partition in partitions})
        theirs = [self._settings.theirs(partition) for partition in partitions]
        internals.learn(consumer, {one.topic for one in theirs})
        with translated("asking for offsets"):
            found = await ask(theirs)
        return {partition: found[self._settings.theirs(partition)] for partition in partitions}

    async def _check_known(self, names: set[str]) -> None:
        """Without this aiokafka would look for a missing topic until the request times out."""
        if unknown := names - self._known:
            self._known |= (await self.partitions(sorted(unknown))).keys()
            if missing := sorted(unknown - self._known):
                raise Unavailable(f"there is no topic {', '.join(missing)}")

    async def _replicas_of(self, names: Sequence[str]) -> dict[str, list[int]]:
        """How many replicas each partition of the topics has; absent as in `partitions`."""
        admin: AIOKafkaAdminClient = await self._made("admin", self._admin)
        with translated("describing topics"):
            described = await admin.describe_topics([self._settings.full(name) for name in names])
            for topic in described:
                if topic["error_code"] == kafka.TopicAuthorizationFailedError.errno:  # it may exist for others
                    raise kafka.TopicAuthorizationFailedError(topic["topic"])
        return {
            self._settings.name(topic["topic"]) or "": [len(partition["replicas"]) for partition in topic["partitions"]]
            for topic in described
            if not topic["error_code"] and all(partition["leader"] >= 0 for partition in topic["partitions"])
        }

    async def _create(self, spec: TopicSpec) -> None:
        replicas = self._settings.replication_factor or await self._replicas()
        settings = topic_settings(spec, replicas=replicas)
        topic = NewTopic(self._settings.full(spec.name), spec.partitions, replicas, topic_configs=settings)
        admin: AIOKafkaAdminClient = await self._made("admin", self._admin)
        with translated(f"creating the topic {spec.name}"):
            answer = await admin.create_topics([topic])
            for _, error_code, *words in answer.topic_errors:
                if error_code not in {kafka.NoError.errno, kafka.TopicAlreadyExistsError.errno}:
                    raise kafka.for_code(error_code)(*words)

    async def _replicas(self) -> int:
        client: AIOKafkaClient = await self._made("group offsets", self._client)
        return min(_REPLICAS, len(client.cluster.brokers()))

    async def _topic_settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """In one question, however many topics there are."""
        admin: AIOKafkaAdminClient = await self._made("admin", self._admin)
        theirs = {self._settings.full(name): name for name in names}
        found: dict[str, dict[str, str]] = {}
        with translated(f"asking for the settings of {', '.join(names[:3])}"):
            for answer in await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, one) for one in theirs]
            ):
                for error_code, words, _, topic, entries in answer.resources:
                    if error_code:
                        raise kafka.for_code(error_code)(words)
                    found[theirs[topic]] = {entry[0]: entry[1] for entry in entries}
        return found

    async def _offsets(self, *, committed_only: bool) -> AIOKafkaConsumer:
        isolation = "read_committed" if committed_only else "read_uncommitted"
        consumer: AIOKafkaConsumer = await self._made(isolation, partial(self._consumer, isolation))
        return consumer

    async def _made(self, what: str, make: Callable[[], Awaitable[Any]]) -> Any:
        async with self._making:
            if what not in self._clients:
                async with starting(self._settings, "connecting to Kafka"):
                    self._clients[what] = await make()
            return self._clients[what]

    async def _admin(self) -> AIOKafkaAdminClient:
        admin = AIOKafkaAdminClient(**self._settings.client())
        self._closing.append(admin.close)
        await admin.start()
        return admin

    async def _client(self) -> AIOKafkaClient:
        client = AIOKafkaClient(**self._settings.client())
        self._closing.append(client.close)
        await client.bootstrap()
        return client

    async def _consumer(self, isolation: str) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(**self._settings.client(), isolation_level=isolation)
        self._closing.append(partial(internals.stop, consumer))
        await consumer.start()
        return consumer
