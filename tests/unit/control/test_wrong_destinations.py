"""Every registered connector: what is wrong with a destination's entries is refused when the destination is saved."""

from collections.abc import Iterator

import pytest

from contracts.messages.published import Reply
from services.connectors.base import Connector
from services.connectors.declaration import ANY_NAME, SettingField
from services.connectors.registry import CONNECTORS
from services.control.app import connector_rules
from services.runtime.secret_references import SecretReferences
from tests.unit.connectors.conformance import CANARY, CASES, Case
from tests.unit.domain.control.bench import Bench, config

every = pytest.mark.parametrize("case", CASES, ids=[one.name or one.slug for one in CASES])
_WRONG_TYPES = {"url": 7, "text": ["a"], "choice": 7, "boolean": "yes", "integer": "3", "number": "3"}


def saved(case: Case, *, settings: dict[str, object], secrets: dict[str, str]) -> Reply:
    """The reply to a destination of the connector, by control as it is put together for service."""
    rules = {slug: connector_rules(one, SecretReferences()) for slug, one in CONNECTORS.items()}
    bench = Bench(configured=config(connectors=rules)).space()
    entries = {"settings": settings, "secrets": secrets}
    return bench.send("destinations.create", {"name": "d", "connector": case.slug, **entries})


def references(case: Case) -> dict[str, str]:
    return dict.fromkeys(case.secrets, "env:USHER_SECRET_X")


def refusal(reply: Reply) -> tuple[str, str]:
    """The one item's code, and its words."""
    (error,) = reply.errors
    assert not reply.data
    assert CANARY not in repr(error)
    return error.code, error.detail


def required(connector: Connector) -> Iterator[str]:
    for field in connector.declaration.settings:
        if field.required:
            yield field.name


def wrong(field: SettingField) -> Iterator[object]:
    """Values of another type, and null, which is no way to ask for the default."""
    yield None
    yield _WRONG_TYPES[field.kind]
    yield {"nested": True}


def test_each_registered_connector_is_among_the_cases() -> None:
    assert {one.slug for one in CASES} == CONNECTORS.keys()


@every
def test_what_is_right_is_saved_without_a_remark(case: Case) -> None:
    reply = saved(case, settings=dict(case.settings), secrets=references(case))
    assert not reply.errors
    assert not reply.warnings


@every
def test_a_missing_setting_or_secret_is_refused(case: Case) -> None:
    declaration = CONNECTORS[case.slug].declaration
    for name in required(CONNECTORS[case.slug]):
        settings = {other: value for other, value in case.settings.items() if other != name}
        code, detail = refusal(saved(case, settings=settings, secrets=references(case)))
        assert (code, f"settings.{name}" in detail) == ("field-required", True)
    for secret in declaration.secrets:
        if secret.required and secret.name != ANY_NAME:
            secrets = {other: to for other, to in references(case).items() if other != secret.name}
            code, detail = refusal(saved(case, settings=dict(case.settings), secrets=secrets))
            assert (code, f"secrets.{secret.name}" in detail) == ("field-required", True)


@every
def test_a_setting_of_another_type_is_refused(case: Case) -> None:
    for field in CONNECTORS[case.slug].declaration.settings:
        for value in wrong(field):
            settings = {**case.settings, field.name: value}
            code, detail = refusal(saved(case, settings=settings, secrets=references(case)))
            assert code == ("field-required" if value is None else "field-invalid")
            assert f"settings.{field.name}" in detail


@every
def test_a_setting_that_nobody_knows_is_said(case: Case) -> None:
    """It takes effect all the same, as unknown fields do everywhere (contracts.md §3)."""
    settings = {**case.settings, "colour": CANARY}
    reply = saved(case, settings=settings, secrets=references(case))
    assert not reply.errors
    assert [one.code for one in reply.warnings] == ["unknown-field"]
    assert CANARY not in repr(reply.warnings)


@every
@pytest.mark.parametrize(
    ("reference", "code"),
    [
        (CANARY, "field-invalid"),
        (f"env:HOME_{CANARY.upper()}", "secret-refused"),
        (f"file:/etc/{CANARY}", "secret-refused"),
    ],
    ids=["in-clear", "another-variable", "another-file"],
)
def test_a_secret_in_clear_or_of_somebody_else_is_refused_and_not_repeated(
    case: Case, reference: str, code: str
) -> None:
    for name in case.secrets:
        reply = saved(case, settings=dict(case.settings), secrets={**references(case), name: reference})
        assert refusal(reply)[0] == code
        assert reference not in repr(reply.errors)
