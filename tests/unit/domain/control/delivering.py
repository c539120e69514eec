"""Benches and words for tests of activations in control."""

from contracts.instants import instant_text
from contracts.messages.published import ActivationStatus
from contracts.messages.steps import ActivationStep
from contracts.records import Out
from services.domain.control.config import ShardConfig
from tests.unit.domain.control.bench import Bench, steps


def activatable(configured: ShardConfig | None = None) -> Bench:
    """A space with an audience and a destination."""
    bench = Bench(configured=configured).space()
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"})
    bench.made(
        "destinations.create", {"id": "dest_d", "name": "d", "connector": "webhook", "settings": {"url": "https://a"}}
    )
    return bench


def activate(bench: Bench, **fields: object) -> None:
    """An activation of the audience at the destination."""
    bench.made("activations.create", {"id": "act_1", "name": "act", "audience": "a", "destination": "d", **fields})


def markers(outs: list[Out]) -> list[str]:
    """Markers as text: which and when."""
    return [f"{one.marker} {instant_text(one.at_ms)[:10]}" for one in steps(outs) if isinstance(one, ActivationStep)]


def status(bench: Bench) -> ActivationStatus:
    """What users see of the activation."""
    return bench.statuses()["act_1"]
