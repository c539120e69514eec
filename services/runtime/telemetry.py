"""What the system tells its operators: typed metrics and typed events, each declared once.

A metric is declared by a module-level constant with help, unit (its name's end) and labels; a second declaration of a
name fails at import. An event is a dataclass for one fact; its `emit` writes the log line and adds to the counter, so
that the two never diverge. Neither ever carries an identifier of a member, a key, a body or a secret.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import prometheus_client
import structlog

Level = Literal["debug", "info", "warning", "error"]

REGISTRY: Final = prometheus_client.CollectorRegistry()
prometheus_client.ProcessCollector(registry=REGISTRY)
prometheus_client.GCCollector(registry=REGISTRY)

SECONDS_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)

_NAME: Final = re.compile(r"usher_[a-z0-9_]+(_total|_seconds|_bytes|_records|_members|_partitions|_state)")
_SENSITIVE: Final = frozenset(
    {"body", "email", "identifier", "identifiers", "member", "members", "password", "phone", "secret", "token", "value"}
)
_TEXT_CHARS_MAX: Final = 500


@dataclass(frozen=True)
class Declared:
    """One line of the catalogue of metrics."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...]


CATALOGUE: Final[dict[str, Declared]] = {}


def _declare(name: str, kind: Literal["counter", "gauge", "histogram"], help: str, labels: tuple[str, ...]) -> None:
    assert _NAME.fullmatch(name), f"{name}: usher_<noun>_<verb>_<unit>"
    assert (kind == "counter") == name.endswith("_total"), f"{name}: counters, and only they, end in _total"
    assert name not in CATALOGUE, f"{name} is declared twice"
    assert not _SENSITIVE & set(labels), f"{name}: no identifiers in labels"
    CATALOGUE[name] = Declared(name, kind, help, labels)


class Counter:
    """Only grows."""

    def __init__(self, name: str, help: str, *labels: str) -> None:
        _declare(name, "counter", help, labels)
        self._metric = prometheus_client.Counter(name, help, labels, registry=REGISTRY)

    def add(self, amount: float = 1, /, **labels: str) -> None:
        (self._metric.labels(**labels) if labels else self._metric).inc(amount)


class Gauge:
    """Goes up and down."""

    def __init__(self, name: str, help: str, *labels: str) -> None:
        _declare(name, "gauge", help, labels)
        self._metric = prometheus_client.Gauge(name, help, labels, registry=REGISTRY)

    def set(self, amount: float, /, **labels: str) -> None:
        (self._metric.labels(**labels) if labels else self._metric).set(amount)

    def follow(self, amount: Callable[[], float], /, **labels: str) -> None:
        """From here on it is what `amount` says whenever somebody looks; `set` has no say any more."""
        self._metric.labels(**labels).set_function(amount)

    def forget(self, *values: str) -> None:
        """Removes one child, by its label values in order: what it spoke of is no longer ours. Harmless without one."""
        with contextlib.suppress(KeyError):
            self._metric.remove(*values)


class Histogram:
    """How values are spread; in seconds unless `buckets` says otherwise."""

    def __init__(self, name: str, help: str, *labels: str, buckets: tuple[float, ...] = SECONDS_BUCKETS) -> None:
        _declare(name, "histogram", help, labels)
        self._metric = prometheus_client.Histogram(name, help, labels, buckets=buckets, registry=REGISTRY)

    def observe(self, amount: float, /, **labels: str) -> None:
        (self._metric.labels(**labels) if labels else self._metric).observe(amount)


@dataclass(frozen=True)
class Event:
    """One fact. A subclass is a frozen dataclass; its docstring is the help of its counter.

    `counter` names the counter, `labels` which fields become its labels (bounded sets only), `amount` the field that
    says how much to add (else 1), `level` that of the log line, whose event is the class's name in kebab-case.
    """

    _counter: ClassVar[Counter]
    _labels: ClassVar[tuple[str, ...]]
    _amount: ClassVar[str | None]
    _level: ClassVar[Level]
    _event: ClassVar[str]

    def __init_subclass__(
        cls, *, counter: str, level: Level = "info", labels: tuple[str, ...] = (), amount: str | None = None
    ) -> None:
        fields = set(cls.__annotations__)
        assert {*labels, *([amount] if amount else [])} <= fields, f"{cls.__name__}: labels and amount are fields"
        assert not _SENSITIVE & fields, f"{cls.__name__}: no identifiers in logs"
        cls._counter = Counter(counter, " ".join((cls.__doc__ or cls.__name__).split()), *labels)
        cls._labels, cls._amount, cls._level = labels, amount, level
        cls._event = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def emit(self) -> None:
        """Counts the fact and logs it."""
        self._counter.add(
            1 if self._amount is None else getattr(self, self._amount),
            **{label: str(getattr(self, label)) for label in self._labels},
        )
        facts = {field.name: _shown(getattr(self, field.name)) for field in dataclasses.fields(self)}
        getattr(structlog.get_logger(), self._level)(self._event, **facts)


def _shown(fact: Any) -> Any:
    return fact[:_TEXT_CHARS_MAX] if isinstance(fact, str) else fact
