"""What all lanes of a worker share: the ports they use and the numbers that the operator set. Made by `app.py`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from contracts.messages.entities import CatalogueEntity
from contracts.records import TopicPartition
from services.activation.lane_health import RetryPolicy
from services.activation.rates import Rates
from services.activation.reports import Reports
from services.activation.secret_store import SecretStore
from services.activation.tokens import Tokens
from services.runtime.backoff import SYSTEM_RANDOM, Random
from services.runtime.clock import Clock
from services.runtime.log import Reader
from services.runtime.outlets import Outlets
from services.runtime.web import Web

E = TypeVar("E", bound=CatalogueEntity)


class Catalogue(Protocol):
    """What lanes ask of the catalogue view."""

    def get(self, kind: type[E], space_id: str, entity_id: str) -> E | None: ...

    async def caught_up(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LanePorts:
    """`outcome_partitions` is how many partitions the outcomes topic has, `change_partitions` that of the changes.

    `queue_reader` opens a reader of given partitions. A blocked lane gives up records older than
    `record_age_seconds_max`, while the log still has them.
    """

    web: Web
    outlets: Outlets
    reports: Reports
    catalogue: Catalogue
    secrets: SecretStore
    tokens: Tokens
    rates: Rates
    clock: Clock
    queue_reader: Callable[[Sequence[TopicPartition]], Awaitable[Reader]]
    change_partitions: int
    outcome_partitions: int
    record_age_seconds_max: float
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    random: Random = SYSTEM_RANDOM
