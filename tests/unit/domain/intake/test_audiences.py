"""Which audience a text names: order of references, and what an object can't name."""

import pytest

from contracts.messages.entities import Audience
from services.domain.intake.audiences import audience_resolver


def audience(
    audience_id: str,
    name: str,
    *,
    kind: str = "list",
    id_type: str = "kuid",
    created_step: int = 1,
    external_ids: dict[str, str] | None = None,
    lifecycle_state: str = "published",
) -> Audience:
    return Audience(
        space_id="acme",
        audience_id=audience_id,
        name=name,
        kind=kind,
        id_type=id_type,
        external_ids=external_ids or {},
        lifecycle_state=lifecycle_state,
        created_at="2026-01-01T00:00:00.000Z",
        updated_at="2026-01-01T00:00:00.000Z",
        created_step=created_step,
        step=created_step,
    )


PRESENT = [
    audience("aud_1", "one", external_ids={"crm": "x1", "dsp": "x1"}),
    audience("aud_2", "aud_1", external_ids={"crm": "one"}),
    audience("aud_3", "x4", external_ids={"crm": "shared"}),
    audience("aud_4", "shared", external_ids={"dsp": "shared", "crm": "x4"}),
    audience("aud_5", "composed", kind="composed"),
    audience("aud_6", "emails", id_type="email_sha256"),
    audience("aud_7", "late", created_step=11),
    audience("aud_8", "just in time", created_step=10),
    audience("late_id", "other", external_ids={"crm": "late"}, created_step=12),
    audience("aud_9", "off", lifecycle_state="inactive"),
    audience("aud_10", "draft", lifecycle_state="draft"),
]


@pytest.mark.parametrize(
    ("text", "audience_id"),
    [
        ("aud_1", "aud_1"),  # the id goes before the name of another
        ("x1", "aud_1"),  # one audience, twice
        ("one", "aud_2"),  # the external id goes before the name of another
        ("x4", "aud_4"),
        ("shared", "aud_4"),  # two have this external id: neither is meant by it
        ("composed", None),
        ("aud_5", None),
        ("emails", None),
        ("late", None),
        ("late_id", None),
        ("just in time", "aud_8"),
        ("off", None),
        ("draft", "aud_10"),
        ("nobody", None),
        ("", None),
        ("ONE", None),
    ],
)
def test_reference(text: str, audience_id: str | None) -> None:
    assert audience_resolver(PRESENT, id_type="kuid", open_step=10)(text) == audience_id


def test_id_type_of_the_feed() -> None:
    resolve = audience_resolver(PRESENT, id_type="email_sha256", open_step=10)
    assert (resolve("emails"), resolve("aud_1")) == ("aud_6", None)
