"""What is left of a reply that would not fit."""

import msgspec

from contracts.messages.entities import KIND_PLURAL
from contracts.messages.published import Reply, ReplyCounts
from services.domain.control.answer import said


def test_the_ids_of_every_kind_are_kept() -> None:
    ids: dict[str, object] = {f"{kind}_id": kind for kind in KIND_PLURAL}
    reply = Reply(
        status="accepted",
        counts=ReplyCounts(items=1, applied=1, failed=0),
        data=[{"item": 0, **ids, "name": "left out", "results": [ids | {"name": "left out"}]}],
        effective_at="",
        expected_live_at="",
        trace_id="",
    )

    body = said(reply, bytes_max=0, kept_bytes_max=None).body

    assert msgspec.json.decode(body, type=Reply).data == [{"item": 0, **ids, "results": [ids]}]
