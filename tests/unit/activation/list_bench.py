"""A lane on the bench whose connection asks for a list by its name, and control as far as it hears of such lists."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from contracts import codec
from contracts.messages.delivery import ListMade
from contracts.messages.entities import Audience, Connection
from contracts.records import Out
from services.activation.lane import Lane
from services.activation.reports import Reports
from tests.unit.activation.lane_bench import PLACE, Bench, FixedCatalogue


@dataclass
class Control:
    """In place of the producer: takes what lanes say of a list into the connection, as control does, if it is `up`."""

    catalogue: FixedCatalogue
    up: bool = True
    outs: list[Out] = field(default_factory=list)
    said: list[ListMade] = field(default_factory=list)

    async def send(self, outs: Sequence[Out]) -> None:
        self.outs += outs
        for out in outs:
            if codec.header(out.headers, "ce_type") == "list-made":
                self.said.append(codec.decode(out.value or b"", ListMade))
                if self.up:
                    self.take()

    def take(self) -> None:
        connection = self.catalogue.connection
        if connection is not None and connection.version == self.said[-1].version:
            listed = msgspec.structs.replace(connection, external_audience_id=self.said[-1].external_audience_id)
            self.catalogue.connection = listed

    async def close(self) -> None: ...


def connection(settings: Mapping[str, object]) -> Connection:
    return Connection(
        space_id="acme", name="con_1", created_at="", updated_at="", connection_id="con_1", audience_id="aud_1",
        destination_id="des_1", connection_settings=dict(settings),
    )  # fmt: skip


def asking(bench: Bench, settings: Mapping[str, object], id_type: str = "customer_id") -> Control:
    """Gives the bench such a connection, and its lane the control that hears of it."""
    bench.catalogue.connection = connection(settings)
    bench.catalogue.audience = Audience(
        space_id="acme", name="a", created_at="", updated_at="", audience_id="aud_1", kind="list", id_type=id_type,
        member_type="user", step=1, created_step=1,
    )  # fmt: skip
    control = Control(bench.catalogue)
    reports = Reports(control, clock=bench.clock, random=bench.ports.random)
    bench.ports = dataclasses.replace(bench.ports, reports=reports)
    bench.lane = Lane(PLACE, bench.ports)
    return control
