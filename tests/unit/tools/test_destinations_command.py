"""`usher destinations list`: every entry that may be set is shown, for people and for programs."""

import msgspec
import pytest

from services.connectors.description import described
from services.connectors.registry import CONNECTORS
from services.tools.destinations_command import list_all
from services.tools.failed import CallFailed

every = pytest.mark.parametrize("slug", CONNECTORS)


@every
def test_a_person_sees_every_entry(
    slug: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    assert list_all(slug, as_json=False) == 0
    shown = capsys.readouterr().out
    declaration = CONNECTORS[slug].declaration
    wanted = [
        slug,
        *(f"settings.{one.name}" for one in declaration.settings),
        *(f"secrets.{one.name}" for one in declaration.secrets),
        *(f"connection_settings.{one.name}" for one in declaration.connection_settings),
        *(f"mapping.{one.name}" for one in declaration.mapping),
        *(one.title for one in declaration.settings),
    ]
    assert [text for text in wanted if text not in shown] == []


@every
def test_a_program_reads_what_destinations_supported_replies(slug: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert list_all(slug, as_json=True) == 0
    (line,) = capsys.readouterr().out.splitlines()
    wanted = described(CONNECTORS[slug].declaration)
    assert msgspec.json.decode(line) == msgspec.json.decode(msgspec.json.encode(wanted))


def test_all_are_listed_where_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_all(None, as_json=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [msgspec.json.decode(line)["slug"] for line in lines] == list(CONNECTORS)


def test_a_connector_that_is_none_is_answered_with_those_that_are() -> None:
    with pytest.raises(CallFailed, match="webhook"):
        list_all("carrier-pigeon", as_json=False)
