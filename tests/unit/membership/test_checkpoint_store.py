"""What the store of checkpoints does where a part of one can't be put."""

import asyncio

import pytest

from services.adapters.memory_objects import MemoryObjects
from services.domain.membership.checkpoint.manifest import Blob
from services.membership.checkpoint_store import CheckpointStore
from services.runtime.clock import SystemClock
from services.runtime.failures import Unavailable


class HalfAway(MemoryObjects):
    """Refuses the index; nothing else ever ends."""

    async def write(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        if key.endswith("index.json"):
            raise Unavailable("not now")
        await asyncio.Event().wait()


async def test_where_one_blob_can_not_be_put_no_other_is_left_behind() -> None:
    store = CheckpointStore(HalfAway(clock=SystemClock()), "bucket", "prefix")
    bodies = [(Blob(name, 1, ""), b"x") for name in ("data-00000", "index.json", "data-00001")]
    with pytest.raises(Unavailable):
        await store.write(0, 7, bodies)
    assert asyncio.all_tasks() == {asyncio.current_task()}
