"""Every connector folder is registered, documented, and declares what can be checked."""

from pathlib import Path

import pytest

import services.connectors
from contracts.ids import is_id
from services.connectors.base import Connector
from services.connectors.declaration import filled
from services.connectors.description import BEGIN, END, described, readme, renewed, tables
from services.connectors.registry import CONNECTORS

FOLDER = Path(services.connectors.__path__[0])

every = pytest.mark.parametrize("connector", CONNECTORS.values(), ids=CONNECTORS.keys())


def test_every_folder_is_registered_and_every_slug_has_its_folder() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    assert {slug.replace("-", "_") for slug in CONNECTORS} == folders


@every
def test_declarations_are_whole(connector: Connector) -> None:
    declaration = connector.declaration
    assert is_id(declaration.slug)
    assert 1 <= declaration.limits.items_per_request <= declaration.limits.items_per_request_max
    for fields in (declaration.settings, declaration.connection_settings):
        names = [field.name for field in fields]
        assert len(set(names)) == len(names)
        assert set(filled(fields, {})) == set(names)
        for field in fields:
            assert field.title
            assert not (field.required and field.default is not None), "a required field has no default"
            assert field.kind != "choice" or field.default is None or field.default in field.choices


@every
def test_the_tables_of_its_readme_are_those_of_its_declaration(connector: Connector) -> None:
    path = readme(connector.declaration)
    text = path.read_text()
    assert text.startswith(f"# {connector.declaration.slug}\n")
    assert renewed(text, connector.declaration) == text, "run python -m services.connectors.description"


@every
def test_a_description_names_every_entry_and_holds_no_empty_one(connector: Connector) -> None:
    declaration = connector.declaration
    said = described(declaration)
    assert said["slug"] == declaration.slug
    assert None not in said.values()
    table = tables(declaration)
    assert all(f"`settings.{field.name}`" in table for field in declaration.settings)
    assert all(f"`connection_settings.{field.name}`" in table for field in declaration.connection_settings)


def test_what_stands_around_the_tables_stays() -> None:
    declaration = CONNECTORS["webhook"].declaration
    old = f"# webhook\n\nBefore.\n\n{BEGIN}\nout of date\n{END}\n\nAfter.\n"
    new = renewed(old, declaration)
    assert new.startswith(f"# webhook\n\nBefore.\n\n{BEGIN}")
    assert new.endswith(f"{END}\n\nAfter.\n")
    assert "out of date" not in new
