"""What a reader of the public topics makes of records whose order and time are not what they seem."""

from contracts import catalog, codec
from contracts.messages.intake import ObjectVersion
from contracts.messages.published import Import
from contracts.records import Record
from services.tools.observed import Observed

AT = "2026-01-01T00:00:00.000Z"


def record(import_id: str, state: str, at: str = AT) -> Record:
    """One record of the life of an import of one and the same object."""
    said = Import(
        space_id="s",
        import_id=import_id,
        object=ObjectVersion(bucket="b", key="k"),
        mode="replace",
        state=state,
        announced_at=at,
        updated_at=at,
    )
    return Record(catalog.IMPORTS, 0, 0, 0, f"s/{import_id}".encode(), codec.encode(said), ())


def test_the_latest_import_of_an_object_where_the_clock_stands_still() -> None:
    observed = Observed("s", keep_members=False)
    for one in (record("first", "applied"), record("second", "announced"), record("second", "applied")):
        observed.sink(one)

    latest = observed.import_of("k")

    assert latest is not None
    assert (latest.import_id, latest.state) == ("second", "applied")


def test_and_where_it_moves_it_is_the_latest_by_time() -> None:
    observed = Observed("s", keep_members=False)
    for one in (record("late", "applied", "2026-01-02T00:00:00.000Z"), record("early", "applied")):
        observed.sink(one)

    latest = observed.import_of("k")

    assert latest is not None
    assert latest.import_id == "late"
