"""The two producers of the memory log. Fencing is by epoch: the newest initialisation of a transactional id owns it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from contracts.records import Out, TopicPartition
from services.adapters.memory.cluster import Act, Client, Cluster
from services.adapters.memory.group import Group
from services.adapters.memory.partition import Transaction
from services.runtime.failures import Fenced, Unavailable
from services.runtime.log import Membership


class MemoryProducer:
    """Implements `Producer`."""

    def __init__(self, cluster: Cluster, client: Client) -> None:
        self._cluster = cluster
        self._client = client

    async def send(self, outs: Sequence[Out]) -> None:
        await self._cluster.turn(self._client, "send")
        self._cluster.append(outs, None)
        self._cluster.acknowledge(self._client, "send")

    async def close(self) -> None:
        """Nothing is held."""


class MemoryTransactionalProducer:
    """Implements `TransactionalProducer`. After `Unavailable` it stays so: the port wants it thrown away."""

    def __init__(self, cluster: Cluster, client: Client, transactional_id: str, groups: Mapping[str, Group]) -> None:
        self._cluster = cluster
        self._client = client
        self._groups = groups
        self._id = transactional_id
        self._owner = cluster.owners[transactional_id]
        self._epoch = self._owner.epoch
        self._transaction: Transaction | None = None
        self._usable = True

    @classmethod
    async def initialise(
        cls, cluster: Cluster, client: Client, transactional_id: str, groups: Mapping[str, Group]
    ) -> "MemoryTransactionalProducer":
        """Fences whoever holds the id and aborts what was left open."""
        await cluster.turn(client, "initialise")
        cluster.fence(transactional_id)
        producer = cls(cluster, client, transactional_id, groups)
        cluster.acknowledge(client, "initialise")
        return producer

    async def begin(self) -> None:
        """Local, as in Kafka: a fenced owner learns it when it sends or commits."""
        assert self._transaction is None, "a transaction is open"
        self._check_usable()
        self._transaction = Transaction()

    async def send(self, outs: Sequence[Out]) -> None:
        transaction = self._opened()
        async with self._request("send"):
            self._cluster.append(outs, transaction)
            self._owner.open = transaction

    async def commit(self, offsets: Mapping[TopicPartition, int], by: Membership | str) -> None:
        """Two requests, as in Kafka: others may come between them, and the second may never be sent."""
        transaction = self._opened()
        if offsets:
            async with self._request("offsets"):
                self._check_member(by)
                transaction.offsets[by if isinstance(by, str) else by.group] = dict(offsets)
                self._owner.open = transaction
        async with self._request("commit"):
            self._owner.open = transaction
            self._cluster.settle(self._owner, commit=True)
        self._transaction = None

    async def abort(self) -> None:
        if self._transaction is None:
            return
        async with self._request("abort"):
            self._cluster.settle(self._owner, commit=False)
        self._transaction = None

    async def close(self) -> None:
        self._usable = False

    def _opened(self) -> Transaction:
        assert self._transaction is not None, "no transaction is open"
        return self._transaction

    def _check_member(self, by: Membership | str) -> None:
        if not isinstance(by, str) and not self._groups[by.group].takes(by):
            raise Fenced(f"{by.group} goes on without {by.member_id} of generation {by.generation}")

    def _check_usable(self) -> None:
        if not self._usable:
            raise Unavailable(f"the producer of {self._id} must be made anew")

    @asynccontextmanager
    async def _request(self, act: Act) -> AsyncIterator[None]:
        self._check_usable()
        try:
            await self._cluster.turn(self._client, act)
            if self._owner.epoch != self._epoch:
                raise Fenced(f"{self._id} has a newer owner")
            yield
            self._cluster.acknowledge(self._client, act)
        except Unavailable:
            self._usable = False
            raise
