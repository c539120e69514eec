"""Checkpoints as released versions wrote them, kept as bytes in `golden/`; each must load for ever.

A folder is made once for each format, and for each set of fold rules, and not touched again:
`python -m tests.unit.domain.membership.checkpoint.golden_checkpoints NAME`.
"""

import base64
import sys
from pathlib import Path

import msgspec

from contracts.catalog import INPUT
from contracts.codec import encode
from contracts.messages.steps import SnapshotStep
from contracts.records import Out, Record
from services.domain.membership.checkpoint.manifest import (
    FOLD_RULES,
    FORMAT,
    Manifest,
    anchor_of,
    checksum_of,
    decode_manifest,
    encode_manifest,
)
from services.domain.membership.partition import MembershipPartition
from services.membership.fold import LETTER
from tests.unit.domain.membership.checkpoint.copies import Taken, load
from tests.unit.domain.membership.checkpoint.histories import conclude, eventful
from tests.unit.domain.membership.wire import SPACE, step_headers

FOLDER = Path(__file__).parent / "golden"
AUDIENCES = ("a", "b", "other", "x")


class Expected(msgspec.Struct):
    """Members by audience, and the checksum of all that folding the tail puts out, by the rules of the manifest."""

    members: dict[str, list[str]]
    tail_outputs: str


class Kept(msgspec.Struct):
    """A record of the tail: what came after the checkpoint. Bytes are base64."""

    offset: int
    value: str
    headers: list[tuple[str, str]]


class Golden:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        self.manifest: Manifest = decode_manifest((folder / "manifest.json").read_bytes())
        self.expected = msgspec.json.decode((folder / "expected.json").read_bytes(), type=Expected)
        self._bodies = {blob.name: (folder / blob.name).read_bytes() for blob in self.manifest.blobs}
        self._tail = msgspec.json.decode((folder / "tail.json").read_bytes(), type=list[Kept])

    def partition(self) -> MembershipPartition:
        fresh = MembershipPartition(
            self.manifest.partition, partitions=self.manifest.partitions, results_partitions=2, dead_letter=LETTER
        )
        return load([(blob, self._bodies[blob.name]) for blob in self.manifest.blobs], fresh)

    def tail(self) -> list[Record]:
        return [
            Record(
                INPUT, self.manifest.partition, one.offset, 0, None, base64.b64decode(one.value),
                tuple((name, base64.b64decode(text)) for name, text in one.headers),
            )
            for one in self._tail
        ]  # fmt: skip


def members(partition: MembershipPartition) -> dict[str, list[str]]:
    """Sorted, by audience. By snapshots of steps that no history reaches: the partition is of no use afterwards."""
    found: dict[str, list[str]] = {}
    for number, audience in enumerate(AUDIENCES):
        step = SnapshotStep(
            space_id=SPACE, step=1_000_000 + number, at_ms=0, snapshot_id=f"snap_{number}", audience_id=audience
        )
        record = Record(INPUT, 0, number, 0, None, encode(step), step_headers(step))
        listed = [msgspec.json.decode(out.value or b"")["members"] for out in partition.handle([record], 0)]
        found[audience] = sorted(member for part in listed for member in part)
    return found


def folded(partition: MembershipPartition, records: list[Record]) -> list[Out]:
    """All that comes of them, one record at a time."""
    return [out for record in records for out in partition.handle([record], 0)]


def outputs(outs: list[Out]) -> str:
    """Their checksum: key, value and headers of each."""
    return checksum_of(repr([(out.topic, out.key, out.value, out.headers, out.partition) for out in outs]).encode())


def make(folder: Path) -> None:
    """Writes what this version would; refuses to touch what is there."""
    folder.mkdir(parents=True)
    world = eventful(partitions=1)
    done, said = len(world.log[0]), len(world.outs[0])
    blobs = Taken(world.folds[0]).blobs()
    conclude(world)
    expected = Expected(members=members(load(blobs, world.fold(0))), tail_outputs=outputs(world.outs[0][said:]))
    manifest = Manifest(
        format=FORMAT,
        fold_rules=FOLD_RULES,
        topic=INPUT,
        partition=0,
        partitions=1,
        offset=done,
        anchor=anchor_of(world.log[0][done - 1]),
        taken_at_ms=0,
        blobs=[blob for blob, _ in blobs],
    )
    tail = [
        Kept(
            one.offset,
            base64.b64encode(one.value or b"").decode(),
            [(name, base64.b64encode(text).decode()) for name, text in one.headers],
        )
        for one in world.log[0][done:]
    ]
    for blob, body in blobs:
        (folder / blob.name).write_bytes(body)
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    (folder / "tail.json").write_bytes(msgspec.json.encode(tail))
    (folder / "expected.json").write_bytes(msgspec.json.format(msgspec.json.encode(expected)) + b"\n")


if __name__ == "__main__":
    make(FOLDER / sys.argv[1])
