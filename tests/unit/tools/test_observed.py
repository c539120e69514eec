"""Which import is that of an upload, whatever comes again and however time stands."""

from contracts import catalog, codec
from contracts.messages.intake import ObjectVersion
from contracts.messages.published import Import
from contracts.records import Record
from services.tools.observed import Observed

AT = "2026-01-01T00:00:00.000Z"


def record(import_id: str, state: str) -> Record:
    """One record of the life of an import of one and the same object; the clock of its space stands still."""
    said = Import(
        space_id="s",
        import_id=import_id,
        object=ObjectVersion(bucket="b", key="k"),
        mode="replace",
        state=state,
        announced_at=AT,
        updated_at=AT,
    )
    return Record(catalog.IMPORTS, 0, 0, 0, f"s/{import_id}".encode(), codec.encode(said), ())


def test_the_import_of_an_upload_is_the_first_that_was_not_there_before() -> None:
    observed = Observed("s", keep_members=False)
    observed.sink(record("first", "applied"))
    known = frozenset(observed.imports)
    assert observed.import_of("k", known=known) is None

    for one in (record("second", "announced"), record("again", "duplicate"), record("second", "applied")):
        observed.sink(one)

    found = observed.import_of("k", known=known)
    assert found is not None
    assert (found.import_id, found.state) == ("second", "applied")
    assert observed.import_of("elsewhere") is None
