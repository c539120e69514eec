"""Every connector folder is registered, documented, and declares what can be checked."""

from pathlib import Path

import pytest

import services.connectors
from contracts.ids import is_id
from services.connectors.base import Connector
from services.connectors.declaration import filled
from services.connectors.registry import CONNECTORS

FOLDER = Path(services.connectors.__path__[0])


def test_every_folder_is_registered_and_every_slug_has_its_folder() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    assert {slug.replace("-", "_") for slug in CONNECTORS} == folders


@pytest.mark.parametrize("connector", CONNECTORS.values(), ids=CONNECTORS.keys())
def test_declarations_are_whole(connector: Connector) -> None:
    declaration = connector.declaration
    assert is_id(declaration.slug)
    assert (FOLDER / declaration.slug.replace("-", "_") / "README.md").is_file()
    assert 1 <= declaration.limits.items_per_request <= declaration.limits.items_per_request_max
    names = [field.name for field in declaration.settings]
    assert len(set(names)) == len(names)
    assert set(filled(declaration, {})) == set(names)
    for field in declaration.settings:
        assert field.title
        assert not (field.required and field.default is not None), "a required field has no default"
