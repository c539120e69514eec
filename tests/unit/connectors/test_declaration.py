"""Checking a destination's entries against a declaration: a table of facts."""

import pytest

from services.connectors.declaration import (
    Declaration,
    Limits,
    SecretField,
    SettingField,
    filled,
    limited,
    mistakes,
)

DECLARATION = Declaration(
    slug="example",
    title="Example",
    settings=(
        SettingField("url", "url", "Where", required=True),
        SettingField("name", "text", "What"),
        SettingField("count", "integer", "How many", default=3, minimum=1, maximum=9),
        SettingField("share", "number", "How much", minimum=0),
        SettingField("loud", "boolean", "How"),
        SettingField("shape", "choice", "Which", default="round", choices=("round", "square")),
        SettingField("code", "text", "Of a form", pattern="[a-z]{3}"),
    ),
    secrets=(SecretField("token", "Who", required=True),),
    limits=Limits(items_per_request=100, items_per_request_max=500),
    removal="At once.",
    lists="A list, which exists.",
    verification="It is looked at.",
)
GOOD: dict[str, object] = {"url": "https://example.com/hook"}
SECRETS = {"token": "env:TOKEN"}


def found(
    settings: dict[str, object] | None = None,
    secrets: dict[str, str] | None = None,
    limits: dict[str, object] | None = None,
) -> list[tuple[str, str]]:
    return [
        (mistake.field, mistake.code.code)
        for mistake in mistakes(
            DECLARATION,
            settings=GOOD if settings is None else settings,
            secrets=SECRETS if secrets is None else secrets,
            limits=limits or {},
        )
    ]


def test_good_entries_have_no_mistakes() -> None:
    whole = {**GOOD, "name": "n", "count": 9, "share": 0.5, "loud": False}
    assert (
        found(whole, {"token": "file:/run/secrets/token"}, {"items_per_request": 500, "requests_per_second": 0.5}) == []
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [("settings.url", "field-required")]),
        ({"url": None}, [("settings.url", "field-required")]),
        ({**GOOD, "name": None}, [("settings.name", "field-required")]),
        ({**GOOD, "name": ""}, [("settings.name", "field-invalid")]),
        ({**GOOD, "name": 5}, [("settings.name", "field-invalid")]),
        ({**GOOD, "count": 0}, [("settings.count", "field-invalid")]),
        ({**GOOD, "count": 10}, [("settings.count", "field-invalid")]),
        ({**GOOD, "count": 2.5}, [("settings.count", "field-invalid")]),
        ({**GOOD, "count": True}, [("settings.count", "field-invalid")]),
        ({**GOOD, "share": -1}, [("settings.share", "field-invalid")]),
        ({**GOOD, "share": "1"}, [("settings.share", "field-invalid")]),
        ({**GOOD, "loud": 1}, [("settings.loud", "field-invalid")]),
        ({**GOOD, "shape": "flat"}, [("settings.shape", "field-invalid")]),
        ({**GOOD, "shape": ["round"]}, [("settings.shape", "field-invalid")]),
        ({**GOOD, "code": "abcd"}, [("settings.code", "field-invalid")]),
        ({**GOOD, "code": "abc\n"}, [("settings.code", "field-invalid")]),
        ({**GOOD, "shape": "square", "code": "abc"}, []),
        ({**GOOD, "colour": 1}, [("settings.colour", "unknown-field")]),
    ],
)
def test_settings(settings: dict[str, object], expected: list[tuple[str, str]]) -> None:
    assert found(settings) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com:99999/",
        "https://example.com:port/",
        "https://example.com:0/",
        "https://exa mple.com/",
        "https://example.com/\r\nx: y",
        "https://[::1/",
        "https://example.com/" + "a" * 2048,
        7,
    ],
)
def test_urls_that_are_none(url: object) -> None:
    assert found({"url": url}) == [("settings.url", "field-invalid")]


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [
        ({}, [("secrets.token", "field-required")]),
        ({**SECRETS, "other": "env:X"}, [("secrets.other", "unknown-field")]),
        ({"token": "whsec_aGVsbG8="}, [("secrets.token", "field-invalid")]),
        ({"token": "env:"}, [("secrets.token", "field-invalid")]),
        ({"token": "env:A B"}, [("secrets.token", "field-invalid")]),
        ({"token": "file:relative"}, [("secrets.token", "field-invalid")]),
        ({"token": ""}, [("secrets.token", "field-invalid")]),
    ],
)
def test_secrets_are_references(secrets: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert found(secrets=secrets) == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"items_per_request": 0}, [("limits.items_per_request", "field-invalid")]),
        ({"items_per_request": 501}, [("limits.items_per_request", "field-invalid")]),
        ({"items_per_request": True}, [("limits.items_per_request", "field-invalid")]),
        ({"members_min": -1}, [("limits.members_min", "field-invalid")]),
        ({"members_min": 2.5}, [("limits.members_min", "field-invalid")]),
        ({"requests_per_second": 0}, [("limits.requests_per_second", "field-invalid")]),
        ({"requests_per_second": "5"}, [("limits.requests_per_second", "field-invalid")]),
        ({"requests_per_second": float("nan")}, [("limits.requests_per_second", "field-invalid")]),
        ({"per_minute": 5}, [("limits.per_minute", "unknown-field")]),
    ],
)
def test_limits(limits: dict[str, object], expected: list[tuple[str, str]]) -> None:
    assert found(limits=limits) == expected


def test_no_mistake_repeats_a_value() -> None:
    """Somebody will put the secret itself where its reference belongs."""
    canary = "canary-7c1f"
    said = mistakes(
        DECLARATION,
        settings={"url": canary, "name": 1, "count": canary, "share": canary, "loud": canary},
        secrets={"token": canary},
        limits={"items_per_request": canary},
    )
    assert len(said) == 7
    assert canary not in repr(said)


def test_defaults_fill_what_is_absent_and_the_undeclared_stays_out() -> None:
    assert filled(DECLARATION.settings, {**GOOD, "colour": 1}) == {
        "url": "https://example.com/hook",
        "name": None,
        "count": 3,
        "share": None,
        "loud": None,
        "shape": "round",
        "code": None,
    }


def test_a_destination_sets_its_limits() -> None:
    assert limited(DECLARATION, {}) == DECLARATION.limits
    mine = limited(DECLARATION, {"items_per_request": 7, "requests_per_second": 2})
    assert (mine.items_per_request, mine.requests_per_second) == (7, 2.0)
