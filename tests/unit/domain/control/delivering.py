"""Benches and words for tests of activations in control."""

from contracts import catalog, codec, codes
from contracts.instants import instant_text
from contracts.messages.delivery import Delivered, Outcome, Reported, Routed
from contracts.messages.published import ActivationStatus
from contracts.messages.steps import ActivationStep
from contracts.records import Out
from services.domain.control.config import ShardConfig
from tests.unit.domain.control.bench import SPACE, Bench, steps

QUEUE = "q"


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


def say(bench: Bench, *outcomes: Outcome) -> list[Out]:
    """What router and lanes report, in one batch."""
    return bench.handle(*(bench.record(catalog.OUTCOMES, codec.encode(one), key=SPACE.encode()) for one in outcomes))


def routed(through: int, *, changes: int = 10, dropped: int = 0, partition: int = 0, ended_step: int = 0) -> Routed:
    """The router's word."""
    return Routed(
        space_id=SPACE,
        activation_id="act_1",
        partition=partition,
        through_offset=through,
        changes=changes,
        dropped=dropped,
        ended_step=ended_step,
    )


def delivered(through: int, *, count: int = 0, merged: int = 0, dead: int = 0, code: str | None = None) -> Delivered:
    """A lane's word."""
    return Delivered(
        space_id=SPACE,
        activation_id="act_1",
        queue=QUEUE,
        partition=0,
        through_offset=through,
        delivered=count,
        merged=merged,
        dead_lettered=dead,
        uploads=1,
        waited_ms=2_500,
        at="2026-01-01T10:00:00.000Z",
        code=code,
        detail="said so" if code else None,
    )


def reported(through: int, *, members: int, failed: int = 0, matched: str | None = None) -> Reported:
    """What a destination says later of members that it took."""
    return Reported(
        space_id=SPACE,
        activation_id="act_1",
        partition=0,
        through_offset=through,
        members=members,
        failed=failed,
        matched=matched,
        at="2026-01-01T10:30:00.000Z",
        code=codes.DELIVERY_FAILED_LATER.code if failed else None,
        detail="said so" if failed else None,
    )
