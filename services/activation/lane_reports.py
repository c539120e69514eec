"""What lanes and verifier say, as records: outcomes, receipts, dead letters. `reports` writes them."""

from typing import Final

from contracts import catalog, codec
from contracts.codes import Code
from contracts.instants import instant_text
from contracts.messages.delivery import (
    Delivered,
    Delivery,
    LaneState,
    ListCleared,
    ListMade,
    Receipt,
    Reported,
    Verified,
)
from contracts.partitioning import space_partition
from contracts.records import Out, Record
from services.domain.delivery.ledger import Taken
from services.runtime.dead_letters import dead_letter

SERVICE: Final = "activation"
_SOURCE: Final = "/usher/activation/lane"


def letter(record: Record, code: Code, detail: str, attempts: int) -> Out:
    """The dead letter of a record of a queue that was tried `attempts` times, also never."""
    return dead_letter(record, code, detail, service=SERVICE, attempts=max(attempts, 1))


def outcome(said: Delivered | LaneState | Verified | Reported | ListCleared | ListMade, outcome_partitions: int) -> Out:
    """The record of `delivery.outcomes.v1`."""
    match said:
        case Delivered():
            kind, about = "delivered", f"{said.queue}.{said.partition}.{said.through_offset}.{said.activation_id}"
        case LaneState():
            kind, about = "lane-state", f"{said.queue}.{said.partition}.{said.at}"
        case Verified():
            kind, about = "verified", said.verification_id
        case Reported():
            kind, about = "reported", f"{said.partition}.{said.through_offset}.{said.activation_id}"
        case ListCleared():
            kind, about = "list-cleared", f"{said.connection_id}.{said.step}"
        case ListMade():
            kind, about = "list-made", f"{said.connection_id}.{said.version}"
    return Out(
        topic=catalog.OUTCOMES,
        key=said.space_id.encode(),
        value=codec.encode(said),
        headers=codec.event_headers(id=about, source=_SOURCE, type=kind, space_id=said.space_id, time=said.at),
        partition=space_partition(said.space_id, outcome_partitions),
    )


def receipt(taken: Taken, of: Delivery, members: int, partition: int, now_ms: int) -> Out:
    """The record of `delivery.receipts.v1` of a request that was just taken."""
    said = Receipt(
        space_id=of.space_id,
        activation_id=of.activation_id,
        connection_id=of.connection_id,
        destination_id=of.destination_id,
        receipt=taken.receipt,
        members=members,
        taken_at=instant_text(now_ms),
        ask_at=instant_text(now_ms + taken.ask_after_seconds * 1000),
    )
    return receipt_record(said, partition)


def receipt_record(said: Receipt, partition: int) -> Out:
    """A receipt as a record."""
    about = f"{said.destination_id}.{said.receipt}.{said.ask_at}"
    return Out(
        topic=catalog.RECEIPTS,
        key=None,
        value=codec.encode(said),
        headers=codec.event_headers(
            id=about, source=_SOURCE, type="receipt", space_id=said.space_id, time=said.taken_at
        ),
        partition=partition,
    )
