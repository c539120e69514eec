"""`usher topics`."""

import msgspec
from rich.console import Console
from rich.table import Table

from contracts.catalog import PartitionSetting, TopicSpec
from services.runtime.environment import load_settings
from services.runtime.settings import Settings
from services.tools.session import session
from services.tools.topics import acl_lines, ensure_topics, wanted_topics

_SETTINGS: tuple[PartitionSetting, ...] = ("control", "membership", "intake", "deliveries")


def specs_of(settings: Settings) -> list[TopicSpec]:
    """All topics as these settings want them."""
    partitions = {name: settings.partitions(name) for name in _SETTINGS}
    return wanted_topics(partitions, *_of_senders(settings))


async def main(*, only_print: bool, acls: bool, as_json: bool) -> int:
    """Exit 1 where a topic differs."""
    if acls:
        settings = load_settings()
        print("\n".join(acl_lines(settings.topic_prefix, *_of_senders(settings))))
        return 0
    if only_print:
        _print(load_settings(), as_json=as_json)
        return 0
    async with session() as (settings, log):
        made, differing = await ensure_topics(log, specs_of(settings))
    if as_json:
        print(msgspec.json.encode({"created": made, "differing": differing}).decode())
    else:
        print(f"{len(made)} topics created, {len(differing)} differ from their pages")
        for name, words in differing.items():
            print(f"  {settings.topic_prefix}.{name}: {'; '.join(words)}")
    return 1 if differing else 0


def _of_senders(settings: Settings) -> tuple[list[str], list[str]]:
    """Their topics of commands, and of replies."""
    return [one.topic for one in settings.command_topics], [one.replies for one in settings.command_topics]


def _print(settings: Settings, *, as_json: bool) -> None:
    specs = specs_of(settings)
    if as_json:
        for spec in specs:
            print(
                msgspec.json.encode(msgspec.structs.replace(spec, name=f"{settings.topic_prefix}.{spec.name}")).decode()
            )
        return
    table = Table("topic", "partitions", "cleanup", "retention", "message bytes")
    for spec in specs:
        retention = "unlimited" if spec.retention_ms < 0 else f"{spec.retention_ms // 3_600_000} h"
        table.add_row(
            f"{settings.topic_prefix}.{spec.name}",
            str(spec.partitions),
            spec.cleanup,
            retention,
            str(spec.max_message_bytes),
        )
    Console().print(table)
