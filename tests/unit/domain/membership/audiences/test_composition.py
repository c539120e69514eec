"""Composed audiences follow what changed, of their own id type alone."""

from pyroaring import BitMap

from contracts.messages.entities import Expression
from services.domain.membership.audiences.composition import Composition
from services.domain.membership.audiences.members import ComposedAudience, Difference

A = Expression(audience="a")


def composed(audience_id: str, id_type: str) -> ComposedAudience:
    return ComposedAudience(audience_id, id_type, "identity", expression=Expression(not_=A))


def test_who_becomes_known_of_another_id_type_changes_nobody() -> None:
    composition = Composition()
    for audience in (composed("not-a", "kuid"), composed("not-a-either", "email_sha256")):
        composition.define(audience)
    new = BitMap([7])
    settled = composition.settle(
        {"b": Difference(new, BitMap())},
        {"kuid": new},
        whole=frozenset(),
        members_of=lambda *_: BitMap(),
        known={"kuid": new},
    )
    assert [(audience.audience_id, difference.entered) for audience, difference in settled] == [("not-a", new)]
