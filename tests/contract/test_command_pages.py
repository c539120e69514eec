"""Pages of commands: each example is an item that would be understood, and each code on a page is declared."""

import json

import pytest

from contracts.codes import ALL
from contracts.command_pages import COMMANDS, errors_of, said_of
from contracts.documents import FOLDER
from contracts.messages.commands import ITEM_TYPES
from services.domain.catalogue.item_form import decode_item, ignored_fields


@pytest.mark.parametrize("command_type", ITEM_TYPES)
def test_an_example_is_understood_to_its_last_field(command_type: str) -> None:
    raw = json.loads(said_of(command_type).example)

    assert list(ignored_fields(raw, decode_item(raw, ITEM_TYPES[command_type]))) == []


@pytest.mark.parametrize(
    "command_type", [one for one in ITEM_TYPES if not one.startswith(("spaces.", "destinations.s"))]
)
def test_an_example_names_what_it_is_about(command_type: str) -> None:
    assert json.loads(said_of(command_type).example) != {}


def test_every_code_on_a_page_is_declared() -> None:
    assert {code for command_type in ITEM_TYPES for code in errors_of(command_type)} <= set(ALL)


def test_nothing_is_said_of_what_is_no_command() -> None:
    assert set(COMMANDS) <= set(ITEM_TYPES)


def test_every_command_has_its_section() -> None:
    pages = "\n".join(path.read_text() for path in sorted((FOLDER / "commands").iterdir()))

    assert [one for one in ITEM_TYPES if f"\n## {one}\n" not in pages] == []
