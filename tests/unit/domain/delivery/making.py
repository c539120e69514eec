"""Records and messages of the delivery half, made with few words; used by the tests of domain, connectors and lanes."""

from collections.abc import Sequence

import msgspec

from contracts import catalog, codec
from contracts.messages.delivery import Delivery
from contracts.messages.entities import Activation, Destination
from contracts.messages.published import ActivationDifference, ActivationMarker, Cause, Change, Snapshot
from contracts.records import Out, Record

AT = "2026-01-02T00:00:00.000Z"
SPACE = "acme"
AUDIENCE = "aud_1"
QUEUE = "q1"


def activation(
    id: str = "act_1",
    *,
    activation_type: str = "audience_membership_changed",
    audience_id: str = AUDIENCE,
    on_end: str = "keep",
) -> Activation:
    return Activation(
        space_id=SPACE,
        name=id,
        created_at=AT,
        updated_at=AT,
        activation_id=id,
        connection_id="con_1",
        audience_id=audience_id,
        destination_id="des_1",
        activation_type=activation_type,
        on_end=on_end,
    )


def destination(
    *,
    url: str = "https://example.com/hook",
    version: int = 1,
    enabled: bool = True,
    connector: str = "webhook",
    **more: object,
) -> Destination:
    limits = more.get("limits", {})
    secrets = more.get("secrets", {})
    assert isinstance(limits, dict)
    assert isinstance(secrets, dict)
    return Destination(
        space_id=SPACE,
        name="hook",
        version=version,
        created_at=AT,
        updated_at=AT,
        destination_id="des_1",
        connector=connector,
        settings={"url": url},
        secrets=secrets,
        limits=limits,
        enabled=enabled,
        queue=QUEUE,
    )


def _record(offset: int, kind: str, *, id: str, subject: str, value: bytes, partition: int) -> Record:
    return Record(
        topic=catalog.CHANGES,
        partition=partition,
        offset=offset,
        timestamp_ms=1_000 + offset,
        key=None,
        value=value,
        headers=codec.event_headers(
            id=id, source="/usher/membership", type=kind, space_id=SPACE, time=AT, subject=subject
        ),
    )


def change(
    offset: int, way: str, members: Sequence[str], *, audience_id: str = AUDIENCE, partition: int = 0, step: int = 7
) -> Record:
    assert way in ("entered", "exited")
    said = Change(
        space_id=SPACE,
        audience_id=audience_id,
        change="entered" if way == "entered" else "exited",
        member_type="identity",
        id_type="kuid",
        at=AT,
        members=list(members),
        step=step,
        cause=Cause("import", "imp_1"),
    )
    return _record(
        offset,
        f"audience.{way}",
        id=f"{SPACE}.{step}.{partition}.{offset}",
        subject=audience_id,
        value=codec.encode(said),
        partition=partition,
    )


def snapshot(
    offset: int,
    members: Sequence[str],
    *,
    activation_id: str | None = "act_1",
    partition: int = 0,
    step: int = 6,
) -> Record:
    said = Snapshot(
        space_id=SPACE,
        audience_id=AUDIENCE,
        snapshot_id=f"act_1.{step}",
        activation_id=activation_id,
        member_type="identity",
        id_type="kuid",
        at=AT,
        members=list(members),
        step=step,
    )
    return _record(
        offset,
        "audience.snapshot",
        id=f"act_1.{step}.{partition}.{offset}",
        subject=AUDIENCE,
        value=codec.encode(said),
        partition=partition,
    )


def difference(
    offset: int, way: str, members: Sequence[str], *, activation_id: str = "act_1", partition: int = 0
) -> Record:
    said = ActivationDifference(
        space_id=SPACE,
        activation_id=activation_id,
        audience_id=AUDIENCE,
        change="entered" if way == "entered" else "exited",
        member_type="identity",
        id_type="kuid",
        at=AT,
        members=list(members),
        step=8,
    )
    return _record(
        offset,
        "audience.difference",
        id=f"{SPACE}.8.{partition}.{way}.{offset}",
        subject=AUDIENCE,
        value=codec.encode(said),
        partition=partition,
    )


def marker(
    offset: int,
    word: str,
    of: Activation | None = None,
    *,
    partition: int = 0,
    queue: str = QUEUE,
    step: int = 6,
    followed_by: int = 0,
    **more: bool,
) -> Record:
    about = of or activation()
    said = ActivationMarker(
        space_id=SPACE,
        marker=word,
        activation=about,
        queue=queue,
        at=AT,
        step=step,
        replaces=more.get("replaces", False),
        clears=more.get("clears", False),
        followed_by=followed_by,
        makes=more.get("makes", False),
    )
    return _record(
        offset,
        f"activation.{word}",
        id=f"{SPACE}.{step}.{partition}.{word}",
        subject=about.activation_id,
        value=codec.encode(said),
        partition=partition,
    )


def delivery(
    sequence: int,
    operation: str,
    members: Sequence[str],
    *,
    activation_id: str = "act_1",
    partition: int = 0,
    resync: bool = False,
) -> Delivery:
    assert operation in ("add", "remove")
    return Delivery(
        delivery_id=f"{SPACE}.7.{partition}.{sequence}.{activation_id}",
        space_id=SPACE,
        activation_id=activation_id,
        connection_id="con_1",
        destination_id="des_1",
        audience_id=AUDIENCE,
        operation="add" if operation == "add" else "remove",
        resync=resync,
        id_type="kuid",
        members=list(members),
        at=AT,
        step=7,
        cause=None if resync else Cause("import", "imp_1"),
        partition=partition,
        sequence=sequence,
    )


def clearing(sequence: int, step: int, *, partition: int = 0, followed_by: int = 0) -> Delivery:
    """What a partition says at its place of a resync that replaces what the list holds."""
    return msgspec.structs.replace(
        delivery(sequence, "add", [], partition=partition, resync=True),
        delivery_id=f"{SPACE}.{step}.{partition}.clear.act_1",
        operation="clear",
        id_type="",
        step=step,
        followed_by=followed_by,
    )


def queued(offset: int, said: Delivery, *, timestamp_ms: int = 0, partition: int = 0) -> Record:
    """A delivery as a record of its queue."""
    return Record(
        topic=catalog.queue_topic(QUEUE),
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        key=None,
        value=codec.encode(said),
        headers=(),
    )


def read(out: Out, offset: int) -> Record:
    """What was written, as it will be read."""
    return Record(
        topic=out.topic,
        partition=out.partition or 0,
        offset=offset,
        timestamp_ms=0,
        key=out.key,
        value=out.value,
        headers=out.headers,
    )
