"""A history that leaves something in every corner of the state."""

from tests.unit.domain.membership.world import World

IDENTITIES = [
    *(f"u{number:04d}" for number in range(30)),
    *(f"00000000-0000-4000-8000-{number:012x}" for number in range(10)),
    *(f"{number:032x}" for number in range(4)),
    *(f"{number:040x}" for number in range(4)),
    *(f"{number:064x}" for number in range(4)),
    "jörg@example.org",
    "日本",
]


def eventful(partitions: int = 2) -> World:
    """Imports of all modes, applied and under way, commands laid over them, compositions, paused activations."""
    world = World(partitions)
    for audience in ("a", "b", "gone"):
        world.define(audience)
    world.define("other", id_type="email")
    world.compose("x", {"and": ["a", {"not": "b"}]})
    world.tick(1)
    world.upload("imp_1", "replace", [(one, "a") for one in IDENTITIES[:40]], on_day=1)
    world.upload("imp_2", "append", [(one, "b") for one in IDENTITIES[::3]], on_day=1, lookback_days=2)
    world.upload("imp_3", "append", [(one, "a") for one in IDENTITIES[20:]], on_day=1, lookback_days=5)
    world.upload("imp_4", "remove", [(one, "b") for one in IDENTITIES[::9]], on_day=1)
    world.patch("gone", "add", IDENTITIES[:5])
    world.patch("other", "replace", IDENTITIES[5:9])
    world.activation("started", "a", activation_id="act_1")
    world.activation("paused", "a", activation_id="act_1")
    world.activation("started", "gone", activation_id="act_2")
    world.activation("paused", "gone", activation_id="act_2")
    world.delete("gone")
    world.tick(2)
    world.open("imp_5", "replace", on_day=2, sequencer="0A")
    world.read("imp_5", "r1", [(one, "a") for one in IDENTITIES[10:20]])
    world.open("imp_6", "append", on_day=2, lookback_days=3)
    world.read("imp_6", "r2", [(one, "b") for one in IDENTITIES[:12]], sealed=False)
    world.read("imp_6", "r3", [(one, "b") for one in IDENTITIES[:12]], rows_more=1)
    world.patch("a", "add", IDENTITIES[40:44])
    world.patch("b", "remove", IDENTITIES[:4])
    world.stream([(at, one, "ab"[at % 2], "remove" if at % 5 else "add") for at, one in enumerate(IDENTITIES[:30])])
    return world


def conclude(world: World) -> None:
    """What reads every corner of it."""
    world.read("imp_6", "r4", [(one, "b") for one in IDENTITIES[:12]])
    world.apply("imp_6", "r4", ["b"])
    world.stream([(at, one, "b", "add") for at, one in enumerate(IDENTITIES, start=20)])
    world.patch("a", "remove", IDENTITIES[42:43])
    world.apply("imp_5", "r1", ["a"])
    world.activation("resumed", "a", activation_id="act_1")
    world.activation("ended", "gone", activation_id="act_2", on_end="remove")
    world.snapshot("snap_1", "x")
    world.snapshot("snap_2", "other")
    world.tick(4)
    world.tick(9)
    world.delete("b")
