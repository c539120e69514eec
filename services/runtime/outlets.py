"""What connectors send by other ways than the web, as values, and the port that carries it out (`adapters.outlets`).

An effect says all of what shall be so at a destination, so that carrying it out twice is as good as once. A check says
what must be so before anything can be sent, and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from services.runtime.secret import Secret


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka of somebody else's and the way in; without a password there is no SASL."""

    bootstrap_servers: str
    tls: bool
    sasl_mechanism: str
    username: Secret | None
    password: Secret | None


@dataclass(frozen=True, slots=True)
class EventsWrite:
    """Records for one topic, in order. `hashes` are Kafka's murmur2 of the keys, without the sign: for partitions."""

    cluster: Cluster
    topic: str
    keys: Sequence[bytes]
    values: Sequence[bytes]
    hashes: NDArray[np.int64]
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Members that are to be in a table, or not to be, as of `sequence` of the changes partition `partition`."""

    operation: Literal["add", "remove"]
    id_type: str
    members: Sequence[str]
    at: str
    partition: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Database:
    """A Postgres of somebody else's and the way in."""

    host: str
    port: int
    name: str
    tls: bool
    username: Secret
    password: Secret


@dataclass(frozen=True, slots=True)
class TableWrite:
    """Rows for one table and one activation that name no identity twice.

    With them the activation's watermark of each changes partition moves; what lies below it is not taken again.
    """

    database: Database
    schema: str
    table: str
    activation_id: str
    rows: Sequence[Rows]


Effect = EventsWrite | TableWrite


@dataclass(frozen=True, slots=True)
class TopicCheck:
    """A topic that must be there, and that we may write to as far as the brokers say."""

    cluster: Cluster
    topic: str


@dataclass(frozen=True, slots=True)
class SchemaCheck:
    """A schema in which we must be able to make tables."""

    database: Database
    schema: str


Check = TopicCheck | SchemaCheck


class Outlets(Protocol):
    """Carries out effects. Keeps what it has opened, by its settings, and closes what is idle."""

    async def carry_out(self, effect: Effect, *, timeout_seconds: float) -> None:
        """Durable when this returns. `Unavailable`: perhaps it has happened, try again.

        `Rejected` says why it never can: delivery-address-refused, delivery-authentication (who we are),
        delivery-settings-invalid (the place), delivery-permanent (what is sent).
        """
        ...

    async def check(self, check: Check, *, timeout_seconds: float) -> None:
        """Returns where all is as the check says, by a connection of its own: nothing that was opened before is proof.

        Writes nothing. Raises as `carry_out` does.
        """
        ...

    async def close(self) -> None: ...
