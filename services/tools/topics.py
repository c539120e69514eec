"""`usher topics`: what the topics must be, what is missing or other on the broker, what rights services need."""

from collections.abc import Iterable, Mapping
from typing import Final

from contracts import catalog
from contracts.catalog import PartitionSetting, TopicSpec
from services.runtime.log import Log

# Principals are `User:usher-<service>`; users of the public topics have principals of their own.
SERVICES: Final = ("control", "intake", "membership", "activation")
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "control": ("control",),
    "intake": ("intake",),
    "membership": ("membership",),
    "activation": ("activation",),
}
TRANSACTIONAL: Final = ("control", "membership", "activation")
_PATTERNS: Final[Mapping[str, str]] = {
    catalog.DELIVERIES: "topic {prefix}.deliveries. prefixed",
    catalog.FEED_TOPICS: "topic <the topic of each feed>",
}


def wanted_topics(
    partitions: Mapping[PartitionSetting, int],
    command_topics: Iterable[str] = (catalog.COMMANDS,),
    reply_topics: Iterable[str] = (catalog.REPLIES,),
) -> list[TopicSpec]:
    """All topics but the delivery queues, which control makes as destinations are created, and those of feeds."""
    paged = [
        catalog.topic_spec(name, partitions[page.partitions])
        for name, page in sorted(catalog.topic_pages().items())
        if name not in {*catalog.PATTERN_PAGES, catalog.COMMANDS, catalog.REPLIES}
    ]
    of_senders = dict.fromkeys(command_topics, catalog.COMMANDS)
    of_senders |= dict.fromkeys({catalog.REPLIES, *reply_topics}, catalog.REPLIES)
    return paged + [
        catalog.topic_spec(name, partitions["control"], page=page) for name, page in sorted(of_senders.items())
    ]


async def ensure_topics(log: Log, specs: Iterable[TopicSpec]) -> tuple[list[str], dict[str, list[str]]]:
    """Creates what is missing; returns what it made, and for each topic that is otherwise, what differs in words."""
    made: list[str] = []
    differing: dict[str, list[str]] = {}
    for spec in specs:
        found = await log.differences(spec)
        if found == ["missing"]:
            await log.ensure_topic(spec)
            made.append(spec.name)
        elif found:
            differing[spec.name] = found
    return made, differing


def acl_lines(prefix: str, command_topics: Iterable[str] = (), reply_topics: Iterable[str] = ()) -> list[str]:
    """The rights of each service, as lines of `principal operation resource`; queues by prefix."""
    lines: list[str] = []
    for service in SERVICES:
        principal = f"User:usher-{service}"
        for name, page in sorted(catalog.topic_pages().items()):
            resource = _PATTERNS.get(name, "topic {prefix}.{name}").format(prefix=prefix, name=name)
            if service in page.readers:
                lines.append(f"{principal} Read,Describe {resource}")
            if service in page.writers:
                lines.append(f"{principal} Write,Describe {resource}")
        lines.extend(f"{principal} Read group {prefix}.{group} prefixed" for group in GROUPS[service])
        if service in TRANSACTIONAL:
            lines.append(f"{principal} Write,Describe transactional-id {prefix}.{service} prefixed")
        if service == "control":
            own = sorted({*command_topics} - {catalog.COMMANDS})
            lines.extend(f"{principal} Read,Write,Describe topic {prefix}.{topic}" for topic in own)
            answers = sorted({*reply_topics} - {catalog.REPLIES})
            lines.extend(f"{principal} Write,Describe topic {prefix}.{topic}" for topic in answers)
            lines.append(f"{principal} Create,DescribeConfigs topic {prefix}.deliveries. prefixed")
    return lines
