"""What users do with activations, as items of commands: chosen by a random, sent by `user`."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from contracts.instants import DAY_MS, instant_text

KINDS: Final = (
    "audience_membership_changed", "audience_membership_changed", "audience_entered", "audience_exited",
)  # fmt: skip


def new(random: Random, name: str, audiences: Sequence[str], time_ms: int) -> Mapping[str, object]:
    """Of any audience, at once or later, for ever or a while."""
    item: dict[str, object] = {
        "name": name,
        "audience": random.choice(audiences),
        "destination": "receiver",
        "activation_type": random.choice(KINDS),
        "perform_resync": random.random() < 0.8,
        "recurring": random.random() < 0.1,
        "recurring_days": 1,
    }
    if item["activation_type"] == "audience_membership_changed":
        item["on_end"] = random.choice(("keep", "remove"))
    if random.random() < 0.2:
        item["start_date"] = instant_text(time_ms + random.randint(-1, 2) * DAY_MS)
    if random.random() < 0.2:
        item["end_date"] = instant_text(time_ms + random.randint(1, 4) * DAY_MS)
    return item


def changed(random: Random, name: str, time_ms: int) -> tuple[str, Mapping[str, object]]:
    """The type of a command and its item; some are refused as things stand."""
    if random.random() < 0.3:
        return "activations.delete", {"name": name}
    if random.random() < 0.5:
        return f"activations.{random.choice(('pause', 'resume', 'resume', 'resync'))}", {"activation": name}
    changes: Sequence[Mapping[str, object]] = (
        {"enabled": False},
        {"enabled": True},
        {"display_name": "other"},
        {"activation_type": "audience_membership_changed"},
        {"end_date": instant_text(time_ms + DAY_MS)},
        {"end_date": None},
        {"extend": True, "extend_days": 1},
    )
    return "activations.update", {"activation": name, **random.choice(changes)}
