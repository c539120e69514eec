"""The memory broker: processes connect to it by name, and a simulation says what befalls them.

Nothing here happens by itself: a killed process's session, a transaction's timeout and compaction pass when told to.
"""

from services.adapters.memory.cluster import Client, Cluster, Faults
from services.adapters.memory.group import Group
from services.adapters.memory.log import MemoryLog
from services.runtime.clock import Clock, SystemClock


class MemoryBroker:
    """One cluster. Names are of processes: one that was killed may connect again under its name."""

    def __init__(self, *, clock: Clock | None = None, faults: Faults | None = None) -> None:
        self._cluster = Cluster(clock or SystemClock(), faults or Faults())
        self._groups: dict[str, Group] = {}
        self._connections: dict[str, list[tuple[Client, MemoryLog]]] = {}

    def connect(self, client_name: str) -> MemoryLog:
        """A process starts."""
        client = Client(client_name)
        log = MemoryLog(self._cluster, client, self._groups)
        self._connections.setdefault(client_name, []).append((client, log))
        return log

    def kill(self, client_name: str) -> None:
        """The process is gone: no call of it has an effect any more, no listener of it hears anything.

        Its members keep their partitions until `expire`, its open transactions stay open until the next owner or
        `time_out`. The caller cancels the process's own tasks.
        """
        for client, _ in self._connections[client_name]:
            client.alive = False
            for callback in client.callbacks:
                callback.cancel()
        self._cluster.wake()

    def expire(self, client_name: str) -> None:
        """The session timeout of its members that were killed, or are static and closed, passes."""
        for _, log in self._connections[client_name]:
            for member in log.members:
                if not member.present:
                    member.expire()

    def isolate(self, client_name: str) -> None:
        """Its heartbeats are lost until the session timeout passes: its members are zombies until `heartbeat`."""
        for _, log in self._connections[client_name]:
            for member in log.members:
                if member.present:
                    member.expire()

    async def heartbeat(self, client_name: str) -> None:
        """Members that were isolated learn that they are out: they give up what they held and join again."""
        for _, log in self._connections[client_name]:
            for member in log.members:
                if member.present:
                    await member.heartbeat()

    def time_out(self, transactional_id: str) -> None:
        """The transaction timeout passes: the open transaction is aborted and its owner fenced."""
        self._cluster.fence(transactional_id)

    def compact(self, topic: str) -> None:
        """Cleans all partitions, the newest segment too."""
        for partition in self._cluster.topics[topic].partitions:
            partition.compact()
