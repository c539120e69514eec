"""Laws over the topic pages: every topic has one, and each can be obeyed by whoever makes the topics."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from contracts import catalog
from contracts.catalog import (
    ACTIVATIONS,
    DEAD_LETTERS,
    DELIVERIES,
    QUEUE_PATTERN,
    TopicPage,
    queue_of,
    queue_topic,
    topic_pages,
    topic_spec,
)

MIB = 1024 * 1024
SERVICES = {"control", "intake", "membership", "activation"}
OTHERS = {"users", "object stores"}
# A week to find and mend a fault; two where a person must look; 13 months where somebody asks who it was; or for ever.
RETENTIONS_HOURS = {168, 336, 9504, -1}
LARGE = {"command", "reply", "dead_letter", "step"}  # 50,000 identifiers in one record

Pages = Mapping[str, TopicPage]


def page(**said: Any) -> TopicPage:
    """A page that breaks no law, except for what is said."""
    lawful = topic_pages()[ACTIVATIONS]
    return msgspec.structs.replace(lawful, **said)


def names_and_pages_differ(names: set[str], pages: Pages) -> list[str]:
    return [f"{name} has no page" for name in sorted(names - pages.keys())] + [
        f"the page of {name} has no constant" for name in sorted(pages.keys() - names)
    ]


def unlawful(name: str, page: TopicPage) -> list[str]:
    """What a page says that it may not say, one sentence each."""
    size = 16 * MIB if page.message in LARGE else MIB
    laws = {
        "its name is not words with dots and a version": re.fullmatch(r"[a-z]+([.-][a-z]+)*\.v[1-9]", name),
        "its purpose is no sentence": page.purpose.strip().endswith("."),
        "nobody writes it": page.writers,
        "nobody reads it": page.readers,
        "it has no key": page.key,
        "who writes or reads it is unknown": {*page.writers, *page.readers} <= SERVICES | OTHERS,
        "a service is named twice": len(set(page.writers)) == len(page.writers)
        and len(set(page.readers)) == len(page.readers),
        "users touch it, but it is not public": page.public or not OTHERS & {*page.writers, *page.readers},
        "it is public, but no user touches it": not page.public or OTHERS & {*page.writers, *page.readers},
        "its retention is not one of the allowed": page.retention_hours in RETENTIONS_HOURS,
        "a compacted topic forgets": page.cleanup == "delete" or page.retention_hours == -1,
        f"its messages may not be of {page.max_message_bytes} bytes": page.max_message_bytes == size,
        "a compacted topic has a message of no fixed key": page.cleanup == "delete" or "/" in page.key,
        "a letter that can't be delivered would be sent to itself": name != DEAD_LETTERS or not page.dead_letters,
    }
    return [f"{name}: {law}" for law, kept in laws.items() if not kept]


def too_small_for_its_letters(pages: Pages) -> list[str]:
    """The dead-letter twin holds the largest original, at least as long."""
    letters = pages[DEAD_LETTERS]
    found = []
    for name, page in pages.items():
        if page.dead_letters and page.max_message_bytes > letters.max_message_bytes:
            found.append(f"{name}: a dead letter of {page.max_message_bytes} bytes does not fit")
        if page.dead_letters and not -1 < page.retention_hours <= letters.retention_hours:
            found.append(f"{name}: outlives its dead letters")
        if page.dead_letters and not {*page.readers} & SERVICES <= {*letters.writers}:
            found.append(f"{name}: a reader may not write dead letters")
    return found


CONSTANTS = {
    value
    for name, value in vars(catalog).items()
    if name.isupper() and isinstance(value, str) and value.endswith(".v1")
} - {QUEUE_PATTERN}


def test_every_topic_has_a_page_and_every_page_a_topic() -> None:
    assert names_and_pages_differ(CONSTANTS, topic_pages()) == []


def test_every_page_is_lawful() -> None:
    assert [broken for name, page in topic_pages().items() for broken in unlawful(name, page)] == []


def test_dead_letters_hold_whatever_dies() -> None:
    assert too_small_for_its_letters(topic_pages()) == []


class TestTheLawsReject:
    def test_a_topic_without_a_page_and_a_page_without_a_topic(self) -> None:
        assert names_and_pages_differ({"a.v1", "b.v1"}, {"b.v1": page(), "c.v1": page()}) == [
            "a.v1 has no page",
            "the page of c.v1 has no constant",
        ]

    def test_nothing_of_a_lawful_page(self) -> None:
        assert unlawful(ACTIVATIONS, page()) == []

    @pytest.mark.parametrize(
        "said",
        [
            {"purpose": "Sizes"},
            {"writers": []},
            {"readers": [], "public": False},
            {"key": "", "cleanup": "delete"},
            {"writers": ["weather"]},
            {"writers": ["control", "control"]},
            {"public": False},
            {"readers": ["control"]},
            {"retention_hours": 24, "cleanup": "delete"},
            {"retention_hours": 168},
            {"max_message_bytes": 2 * MIB},
            {"message": "reply"},
            {"key": "space id"},
        ],
    )
    def test_a_page_that_breaks_one(self, said: dict[str, Any]) -> None:
        assert len(unlawful(ACTIVATIONS, page(**said))) == 1

    @pytest.mark.parametrize("name", ["Activations.v1", "activations", "activations.v0", "a_b.v1", ".v1", "a b.v1"])
    def test_a_name(self, name: str) -> None:
        assert len(unlawful(name, page())) == 1

    def test_dead_letters_of_dead_letters(self) -> None:
        assert len(unlawful(DEAD_LETTERS, page(dead_letters=True))) == 1

    @pytest.mark.parametrize(
        "said",
        [
            {"max_message_bytes": 32 * MIB, "retention_hours": 168, "readers": ["control"]},
            {"retention_hours": -1, "readers": ["control"]},
            {"retention_hours": 168, "readers": ["membership"]},
        ],
    )
    def test_letters_that_do_not_fit(self, said: dict[str, Any]) -> None:
        letters = msgspec.structs.replace(topic_pages()[DEAD_LETTERS], writers=["control"])
        assert len(too_small_for_its_letters({DEAD_LETTERS: letters, "a.v1": page(dead_letters=True, **said)})) == 1


@pytest.mark.parametrize(
    "text",
    [
        "retention_days = 7",  # an unknown setting is a typing error
        'cleanup = "compact,delete"',
        'partitions = "many"',
        "public = 1",
    ],
)
def test_a_page_of_another_form_is_not_read(text: str) -> None:
    name, _, value = text.partition(" = ")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(page()) | {name: msgspec.json.decode(value)}, TopicPage)


def test_a_queue_topic_is_named_by_its_key_and_described_by_the_pattern_page() -> None:
    name = queue_topic("q-1_a")
    assert re.fullmatch(QUEUE_PATTERN, name)
    assert queue_of(name) == "q-1_a"
    spec, described = topic_spec(name, 4, page=DELIVERIES), topic_pages()[DELIVERIES]
    assert (spec.name, spec.partitions, spec.cleanup) == (name, 4, described.cleanup)
    assert spec.retention_ms == described.retention_hours * 3_600_000


def test_no_other_topic_is_taken_for_a_queue() -> None:
    assert [name for name in topic_pages() if re.fullmatch(QUEUE_PATTERN, name)] == []


def test_unlimited_retention_is_minus_one() -> None:
    assert topic_spec(ACTIVATIONS, 1).retention_ms == -1
