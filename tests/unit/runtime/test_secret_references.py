"""Which secrets a space may refer to: a table of facts, and that no two spaces own the same."""

from pathlib import PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.runtime.secret_references import DEFAULT_REFERENCES, ReferenceRefused, SecretReferences

FOLDER = "/etc/usher/secrets"


def may(reference: str, space_id: str = "acme-eu", references: SecretReferences = DEFAULT_REFERENCES) -> bool:
    try:
        references.found(reference, space_id)
    except ReferenceRefused:
        return False
    return True


@pytest.mark.parametrize(
    "reference",
    [
        "env:USHER_SECRET_HOOK",
        "env:USHER_SECRET_hook_2",
        "env:USHER_SECRET_ACME_EU",
        "env:USHER_SECRET_ACME_EU__HOOK",
        f"file:{FOLDER}/hook",
        f"file:{FOLDER}/hook.key",
        f"file:{FOLDER}/acme-eu/hook",
        f"file:{FOLDER}/acme-eu/meta/token",
    ],
)
def test_what_was_put_aside_can_be_referred_to(reference: str) -> None:
    assert may(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "hunter2",
        "env:",
        "env:HOME",
        "env:AWS_SECRET_ACCESS_KEY",
        "env:USHER_KAFKA_SASL_PASSWORD",
        "env:USHER_SECRET_",
        "env:USHER_SECRET__HOOK",
        "env:USHER_SECRETS_FOLDER",
        "env:USHER_SECRET_OTHER__HOOK",
        "env:USHER_SECRET_ACME__HOOK",
        "env:USHER_SECRET_ACME_EU__A__B",
        "env:USHER_SECRET_ACME_EU___HOOK",
        "env:usher_secret_hook",
        " env:USHER_SECRET_HOOK",
        "env:USHER_SECRET_HOOK\n",
        "ENV:USHER_SECRET_HOOK",
        "vault:USHER_SECRET_HOOK",
        "file:/etc/passwd",
        "file:hook",
        f"file:{FOLDER}",
        f"file:{FOLDER}/",
        f"file:{FOLDER}2/hook",
        f"file:{FOLDER}//hook",
        f"file:{FOLDER}/../hook",
        f"file:{FOLDER}/./hook",
        f"file:{FOLDER}/acme-eu/../hook",
        f"file:{FOLDER}/acme-eu/../other/hook",
        f"file:{FOLDER}/acme-eu/",
        f"file:{FOLDER}/other/hook",
        f"file:{FOLDER}/..data/hook",
        f"file:{FOLDER}/.hidden",
        f"file:{FOLDER}/a\x00b",
        f"file:{FOLDER}/hook\n",
        f"file:/{FOLDER}/hook",
    ],
)
def test_nothing_else_can_and_the_refusal_does_not_repeat_it(reference: str) -> None:
    with pytest.raises(ReferenceRefused) as caught:
        DEFAULT_REFERENCES.found(reference, "acme-eu")
    assert len(reference) < 5 or reference.strip() not in str(caught.value).split()
    assert "env:USHER_SECRET_ACME_EU__NAME" in str(caught.value)


ids = st.text("ab_-", min_size=1, max_size=5)
names = st.text("AB_", min_size=1, max_size=9)


@given(ids, ids, names)
def test_no_variable_is_of_two_spaces_and_not_of_all(one: str, other: str, name: str) -> None:
    """Whatever ids and names meet: what two spaces may use is what every space may use."""
    assume(one != other)
    reference = f"env:USHER_SECRET_{name}"
    if may(reference, one) and may(reference, other):
        assert may(reference, "someone-else")


@given(ids, ids, st.text("ab_-./", max_size=9))
def test_no_file_is_of_two_spaces_and_not_of_all(one: str, other: str, rest: str) -> None:
    assume(one != other)
    reference = f"file:{FOLDER}/{rest}"
    if may(reference, one) and may(reference, other):
        assert may(reference, "someone-else")


def test_a_space_with_an_underscore_keeps_its_own_in_files() -> None:
    assert not may("env:USHER_SECRET_ACME_EU__HOOK", "acme_eu")
    assert may("env:USHER_SECRET_HOOK", "acme_eu")
    assert may(f"file:{FOLDER}/acme_eu/hook", "acme_eu")


def test_the_operator_names_prefix_and_folder() -> None:
    own = SecretReferences("OWN_", PurePosixPath("/run/secrets"))
    assert may("env:OWN_HOOK", references=own)
    assert may("file:/run/secrets/hook", references=own)
    assert not may("env:USHER_SECRET_HOOK", references=own)
    assert not may(f"file:{FOLDER}/hook", references=own)
