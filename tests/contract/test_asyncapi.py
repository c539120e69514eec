"""AsyncAPI's own parser takes the page, and refuses others; every topic, message and service stands on it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.catalog import REPLIES, topic_pages
from contracts.documents import FOLDER, MESSAGES
from tests.contract.asyncapi import complaints

PAGE = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())

Page = dict[str, Any]
Spoil = Callable[[Page], None]


def _without_asyncapi(page: Page) -> None:
    del page["asyncapi"]


def _operation_publishes(page: Page) -> None:
    page["operations"]["control-send-replies.v1"]["action"] = "publish"  # the word of AsyncAPI 2


def _channel_of_version_2(page: Page) -> None:
    page["channels"][REPLIES]["subscribe"] = {}


def _channel_named(target: str) -> Spoil:
    def spoil(page: Page) -> None:
        page["operations"]["control-send-replies.v1"]["channel"] = {"$ref": target}

    return spoil


def _payload_named(target: str) -> Spoil:
    def spoil(page: Page) -> None:
        page["components"]["messages"]["reply"]["payload"] = {"$ref": target}

    return spoil


SPOILED = {
    "no version": _without_asyncapi,
    "a word of AsyncAPI 2": _operation_publishes,
    "a channel of AsyncAPI 2": _channel_of_version_2,
    "no such channel": _channel_named("#/channels/weather.v1"),
    "no such place": _channel_named("#/info/title/x"),
    "no such schema": _payload_named("./schemas/weather.v1.json"),
    "no schema": _payload_named("./catalog.py"),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the parser says of our page and of each spoiled one, which lies beside the same schemas."""
    folder = tmp_path_factory.mktemp("pages")
    for beside in ("schemas", "catalog.py"):
        (folder / beside).symlink_to(FOLDER / beside)
    pages: dict[str, Path] = {"ours": FOLDER / "asyncapi.yaml"}
    for name, spoil in SPOILED.items():
        page = copy.deepcopy(PAGE)
        spoil(page)
        pages[name] = folder / f"{name}.yaml"
        pages[name].write_text(yaml.safe_dump(page))
    found = complaints(list(pages.values()))
    return {name: found[path] for name, path in pages.items()}


def test_the_parser_takes_our_page(said: dict[str, list[str]]) -> None:
    assert said["ours"] == []


@pytest.mark.parametrize("name", SPOILED)
def test_the_parser_refuses(said: dict[str, list[str]], name: str) -> None:
    assert said[name]


def test_every_topic_and_message_is_on_the_page() -> None:
    assert set(PAGE["channels"]) == set(topic_pages())
    assert set(PAGE["components"]["messages"]) == set(MESSAGES)
    addresses = [channel["address"] for channel in PAGE["channels"].values()]
    assert len(set(addresses)) == len(addresses)


def test_whoever_writes_a_topic_sends_and_whoever_reads_it_receives() -> None:
    said = {(key.split("-", 2)[0], operation["action"]) for key, operation in PAGE["operations"].items()}
    assert said == {(service, action) for service in ("activation", "control", "intake", "membership")
                    for action in ("send", "receive")}  # fmt: skip
    commands = [key for key in PAGE["operations"] if key.endswith("-commands.v1")]
    assert commands == ["control-send-commands.v1", "control-receive-commands.v1"]
