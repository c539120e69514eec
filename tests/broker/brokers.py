"""Brokers of a test's own beside the session's: some that are one cluster, or one with listeners of another kind."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient

from deploy.local import kafka, processes
from deploy.local.state import Layout, Process, make_private_folder

_REPLICATED: Final[Mapping[str, str | int]] = {
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "share.coordinator.state.topic.replication.factor": 3,
    "share.coordinator.state.topic.min.isr": 2,
    "replica.lag.time.max.ms": 5_000,
}


Besides = Callable[[kafka.Settings], kafka.Settings]
"""What stands before the local stack's settings, given these."""


class Brokers:
    """Each is broker and controller, and is named by its number, from 0."""

    def __init__(self, folder: Path, count: int, besides: Besides) -> None:
        self._layouts = [Layout(folder / str(number)) for number in range(count)]
        self._ports = [(processes.free_port(), processes.free_port()) for _ in range(count)]
        self._besides = besides
        self._processes: list[Process] = []
        self.numbers = range(count)
        self.bootstrap_servers = ",".join(map(self._address, self.numbers))

    def start(self) -> None:
        """Returns when all answer."""
        voters = ",".join(f"{number + 1}@127.0.0.1:{ports[1]}" for number, ports in enumerate(self._ports))
        replicated = _REPLICATED if len(self.numbers) > 1 else {}
        for number, layout in enumerate(self._layouts):
            make_private_folder(layout.logs)
            own = {**replicated, "node.id": number + 1, "controller.quorum.voters": voters}
            besides = partial(self._besides_of, own)
            self._processes.append(kafka.start(layout, *self._ports[number], _quiet, besides=besides))
        for number in self.numbers:
            self._wait_for(number)

    def kill(self, number: int) -> None:
        """SIGKILL."""
        processes.kill(self._processes[number])

    def stop(self, number: int) -> None:
        """As an administrator would: what it leads is handed over first."""
        processes.stop(self._processes[number], grace_seconds=kafka.STOP_WITHIN_SECONDS)

    def restart(self) -> None:
        """Those that are away, on the same data and ports; returns when they answer."""
        away = [number for number in self.numbers if not processes.alive(self._processes[number])]
        for number in away:
            self._processes[number] = kafka.restart(self._layouts[number], _quiet)
        for number in away:
            self._wait_for(number)

    def end(self) -> None:
        for process in self._processes:
            processes.kill(process)

    def _besides_of(self, own: kafka.Settings, usual: kafka.Settings) -> kafka.Settings:
        return own | self._besides(usual)

    def _address(self, number: int) -> str:
        return f"127.0.0.1:{self._ports[number][0]}"

    def _wait_for(self, number: int) -> None:
        kafka.wait_for(self._processes[number], self._address(number), self._layouts[number])


@contextmanager
def running_brokers(folder: Path, count: int, besides: Besides = lambda _: {}) -> Iterator[Brokers]:
    """They and their processes are gone at the end."""
    brokers = Brokers(folder, count, besides)
    try:
        brokers.start()
        yield brokers
    finally:
        brokers.end()


async def partitions_of(servers: str, *topics: str) -> list[dict[str, Any]]:
    """What the brokers say of every partition of these topics, or of all."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        described = await admin.describe_topics(topics or None)
    finally:
        await admin.close()
    return [partition for topic in described for partition in topic["partitions"]]


async def all_in_sync(servers: str) -> bool:
    """Whether no replica of any partition is behind."""
    return all(len(one["isr"]) == len(one["replicas"]) for one in await partitions_of(servers))


def _quiet(_: str) -> None:
    """What is fetched for them was fetched for the session's broker."""
