"""What is spelled straight into a record is, byte for byte, what encoding the whole message gives."""

import msgspec
import pytest

from contracts.catalog import CHANGES
from contracts.codec import encode, header
from contracts.messages.published import ActivationDifference, ActivationMarker, Change, Snapshot
from tests.unit.domain.membership.world import World

MESSAGES: dict[str, type[Change | Snapshot | ActivationDifference]] = {
    "audience.entered": Change,
    "audience.exited": Change,
    "audience.snapshot": Snapshot,
    "audience.difference": ActivationDifference,
}
AWKWARD = [
    'say "hi"',
    "back\\slash",
    '"members":[]',
    "jörg@example.org",
    "名前",
    "x" * 256,
    "a/b",
    "\x7e",
    "\U0001f600",
]
PLAIN = [f"user-{number}" for number in range(1500)]
UUIDS = [f"{number:08x}-0000-4000-8000-0123456789ab" for number in range(2500)]
HEXES = [f"{number:0{width}x}" for width in (32, 40, 64) for number in range(300)]


@pytest.mark.parametrize(
    "members",
    [[one] for one in AWKWARD] + [PLAIN, UUIDS, HEXES, AWKWARD + PLAIN + UUIDS + HEXES],
    ids=lambda members: f"{members[0][:12]}+{len(members)}",
)
def test_members_are_spelled_as_they_would_be_encoded(members: list[str]) -> None:
    world = World(2)
    world.define("a")
    world.activation("started", "a")
    world.activation("paused", "a")
    world.patch("a", "add", members)
    world.snapshot("snap", "a")
    world.activation("resumed", "a")
    world.activation("updated", "a", resync=True)
    world.patch("a", "clear")
    named: dict[str, list[str]] = {kind: [] for kind in MESSAGES}
    for outs in world.outs:
        for out in outs:
            kind = header(out.headers, "ce_type") or ""
            if out.topic == CHANGES and kind in MESSAGES:
                message = msgspec.json.decode(out.value or b"", type=MESSAGES[kind])
                assert encode(message) == out.value
                named[kind] += message.members
    expected = {kind: sorted(members) for kind in MESSAGES}
    expected["audience.snapshot"] = sorted(members * 2)  # of the command, and of the update
    assert {kind: sorted(found) for kind, found in named.items()} == expected


@pytest.mark.parametrize("members", [[], PLAIN])
def test_a_resync_that_replaces_says_before_how_many_members_follow_on_each_partition(members: list[str]) -> None:
    world = World(2)
    world.define("a")
    world.patch("a", "add", members)
    world.activation("started", "a", resync=True, replaces=True)
    world.activation("updated", "a", replaces=True)
    for outs in world.outs:
        found = {
            kind: [out.value or b"" for out in outs if header(out.headers, "ce_type") == kind]
            for kind in ("activation.started", "activation.updated", "audience.snapshot")
        }
        (started,), (updated,) = (
            [msgspec.json.decode(one, type=ActivationMarker) for one in found[f"activation.{word}"]]
            for word in ("started", "updated")
        )
        follow = sum(len(msgspec.json.decode(one, type=Snapshot).members) for one in found["audience.snapshot"])
        assert (started.clears, started.followed_by, updated.clears, updated.followed_by) == (True, follow, False, 0)
