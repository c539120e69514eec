"""The AsyncAPI page has the form that AsyncAPI 3.0 asks for, and every reference in it leads somewhere."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml

from contracts.catalog import REPLIES, topic_pages
from contracts.documents import FOLDER, MESSAGES

PAGE = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())

REFERENCE = {"type": "object", "required": ["$ref"], "properties": {"$ref": {"type": "string"}}, "maxProperties": 1}
FORM = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"required": ["title", "version"]},
        "defaultContentType": {"type": "string"},
        "channels": {
            "minProperties": 1,
            "propertyNames": {"pattern": r"^[A-Za-z0-9_.\-]+$"},
            "additionalProperties": {
                "required": ["address", "messages"],
                "properties": {
                    "address": {"type": "string"},
                    "description": {"type": "string"},
                    "parameters": {"additionalProperties": {"required": ["description"]}},
                    "messages": {"minProperties": 1, "additionalProperties": REFERENCE},
                    "tags": {"items": {"required": ["name"]}},
                    "bindings": {"properties": {"kafka": {"required": ["topicConfiguration", "bindingVersion"]}}},
                },
                "patternProperties": {"^x-": True},
                "additionalProperties": False,
            },
        },
        "operations": {
            "minProperties": 1,
            "propertyNames": {"pattern": r"^[A-Za-z0-9_.\-]+$"},
            "additionalProperties": {
                "required": ["action", "channel"],
                "properties": {"action": {"enum": ["send", "receive"]}, "channel": REFERENCE},
                "additionalProperties": False,
            },
        },
        "components": {
            "properties": {
                "messages": {
                    "additionalProperties": {
                        "required": ["name"],
                        "anyOf": [{"required": ["payload"]}, {"required": ["headers", "contentType"]}],
                        "properties": {"payload": REFERENCE, "headers": REFERENCE, "traits": {"items": REFERENCE}},
                    }
                },
                "messageTraits": {"additionalProperties": {"required": ["headers"]}},
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def references(page: Any) -> Iterator[str]:
    match page:
        case {"$ref": str(target)}:
            yield target
        case dict():
            for inner in page.values():
                yield from references(inner)
        case list():
            for inner in page:
                yield from references(inner)


def dangling(page: dict[str, Any]) -> list[str]:
    """References to nothing: neither a place in the page nor a committed schema."""
    return [target for target in references(page) if not (_in_page(page, target) or _is_schema(target))]


def _in_page(page: Any, target: str) -> bool:
    if not target.startswith("#/"):
        return False
    for part in target[2:].split("/"):
        if not isinstance(page, dict) or part not in page:
            return False
        page = page[part]
    return True


def _is_schema(target: str) -> bool:
    return target.startswith("./schemas/") and (FOLDER / target).is_file()


def malformed(page: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema_rs.Draft202012Validator(FORM).iter_errors(page)]


def test_the_page_has_the_form_of_asyncapi_3() -> None:
    assert malformed(PAGE) == []
    assert dangling(PAGE) == []


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


def _without_asyncapi(page: dict[str, Any]) -> None:
    del page["asyncapi"]


def _operation_publishes(page: dict[str, Any]) -> None:
    page["operations"]["control-send-replies.v1"]["action"] = "publish"  # the word of AsyncAPI 2


def _channel_of_version_2(page: dict[str, Any]) -> None:
    page["channels"][REPLIES]["subscribe"] = {}


def _message_without_payload(page: dict[str, Any]) -> None:
    del page["components"]["messages"]["reply"]["payload"]


@pytest.mark.parametrize(
    "spoil", [_without_asyncapi, _operation_publishes, _channel_of_version_2, _message_without_payload]
)
def test_a_page_of_another_form_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    page = copy.deepcopy(PAGE)
    spoil(page)
    assert malformed(page)


@pytest.mark.parametrize(
    "target", ["#/channels/weather.v1", "#/info/title/x", "./schemas/weather.v1.json", "./catalog.py", "weather"]
)
def test_a_reference_to_nothing_is_found(target: str) -> None:
    page = copy.deepcopy(PAGE)
    page["operations"]["control-send-replies.v1"]["channel"] = {"$ref": target}
    assert dangling(page) == [target]
