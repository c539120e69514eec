"""The newest good checkpoint at or before the committed offset, loaded. Refuses what would make a wrong state.

What is damaged or incomplete is passed over and told; what only the operator can put right is `Fatal`.
"""

from functools import partial
from typing import Final

import msgspec

from contracts.records import TopicPartition
from services.domain.membership.checkpoint.load import Loading
from services.domain.membership.checkpoint.manifest import FOLD_RULES, FORMAT, Manifest, NewerFormat, anchor_of
from services.domain.membership.checkpoint.packing import Damaged
from services.domain.membership.partition import MembershipPartition
from services.membership.checkpoint_store import CheckpointStore, Stored
from services.membership.events import CheckpointRestored, CheckpointUnusable
from services.membership.fold import PartitionFold
from services.runtime.clock import Clock
from services.runtime.failures import Fatal, Rejected
from services.runtime.fold import Offload
from services.runtime.log import Log

_READ_SECONDS: Final = 1.0


class CheckpointLoader:
    """Loads checkpoints of `membership.input`."""

    def __init__(
        self, log: Log, store: CheckpointStore, *, clock: Clock, offload: Offload, only_looks: bool = False
    ) -> None:
        """`only_looks`: nobody folds on from what is loaded, so nothing is written."""
        self._only_looks = only_looks
        self._log = log
        self._store = store
        self._clock = clock
        self._offload = offload

    async def load(self, fold: PartitionFold, place: TopicPartition, committed: int) -> int:
        """Makes a fresh fold what it was at the offset that is returned: 0 where there is no checkpoint.

        Raises `Fatal` where there are some, but going on from them, or without them, would be wrong.
        """
        fold.progress.taken_at_seconds = self._clock.monotonic_seconds()
        try:
            stored = [one for one in await self._store.stored(place.partition) if one.is_complete]
            for one in stored:
                if one.offset <= committed and await self._loaded(fold, place, one, committed):
                    return one.offset
        except Rejected as error:
            raise Fatal(
                f"checkpoints under {self._store.place(place.partition)} can't be read: {error}. usher needs to list, "
                "read, write and delete objects there; see USHER_STATE_URL"
            ) from None
        if stored and stored[-1].offset > committed:
            raise Fatal(self._behind(place, stored[-1].offset, committed))
        return 0

    async def _loaded(self, fold: PartitionFold, place: TopicPartition, stored: Stored, committed: int) -> bool:
        began = self._clock.monotonic_seconds()
        try:
            manifest = await self._manifest(stored)
            await self._check(manifest, fold, place, committed)
            fold.restored(await self._partition(fold, stored, manifest), manifest)
            if manifest.fold_rules != FOLD_RULES and not self._only_looks:
                # What follows is folded by our rules; a crash before our first checkpoint must not make that forgotten.
                await self._store.complete(msgspec.structs.replace(manifest, fold_rules=FOLD_RULES))
        except Damaged as error:
            fold.progress.unusable.add(stored.offset)
            CheckpointUnusable(stored.partition, stored.offset, str(error)).emit()
            return False
        seconds = self._clock.monotonic_seconds() - began
        CheckpointRestored(stored.partition, stored.offset, committed, seconds).emit()
        return True

    async def _manifest(self, stored: Stored) -> Manifest:
        try:
            manifest = await self._store.manifest(stored)
        except NewerFormat as error:
            raise Fatal(
                f"the checkpoint at {stored.offset} of partition {stored.partition} has format {error.format}, this "
                f"usher knows formats up to {FORMAT}: run the version that wrote it, or a newer one"
            ) from None
        if (manifest.partition, manifest.offset) != (stored.partition, stored.offset):
            raise Damaged(f"it is the one of partition {manifest.partition} at {manifest.offset}: someone moved it")
        return manifest

    async def _check(self, manifest: Manifest, fold: PartitionFold, place: TopicPartition, committed: int) -> None:
        """Whether the state fits the topic, and the log goes on from it by the same rules; raises `Fatal`."""
        where = f"the checkpoint of partition {place.partition} at {manifest.offset}"
        if manifest.partitions != fold.partitions:
            raise Fatal(
                f"{where} is of {manifest.partitions} partitions, but {place.topic} has {fold.partitions}: members "
                "would change their partition. The number is fixed when the topics are made; start anew under another "
                "USHER_TOPIC_PREFIX and upload the present files"
            )
        if manifest.fold_rules != FOLD_RULES and manifest.offset < committed:
            raise Fatal(
                f"{where} is {committed - manifest.offset} offsets behind, and they were folded by rules "
                f"{manifest.fold_rules}, while this usher has rules {FOLD_RULES}: replaying them would make another "
                f"state than the one that was published. Run the version with rules {manifest.fold_rules} again and "
                "stop it in order: it leaves a checkpoint with nothing to replay. Then start this one"
            )
        await self._check_log(manifest, place, where)

    async def _check_log(self, manifest: Manifest, place: TopicPartition, where: str) -> None:
        begin = (await self._log.begin_offsets([place]))[place]
        if begin > manifest.offset:
            raise Fatal(
                f"{place.topic}/{place.partition} begins at offset {begin}, behind {where}: what stood between is "
                "lost. The topic's retention must be unlimited (`usher topics` says what differs); start anew under "
                "another USHER_TOPIC_PREFIX and upload the present files"
            )
        if begin <= manifest.anchor.offset and not await self._is_there(manifest, place):
            raise Fatal(
                f"{where} is of another log than {place.topic}/{place.partition}: the topic was made anew. If that "
                f"was meant, remove everything under {self._store.place(place.partition)}; else restore the topic"
            )

    async def _is_there(self, manifest: Manifest, place: TopicPartition) -> bool:
        """Whether the log has the record that the checkpoint was taken after."""
        anchor = manifest.anchor
        end = (await self._log.end_offsets([place]))[place]
        reader = await self._log.reader([place])
        try:
            reader.seek(place, anchor.offset)
            while await reader.position(place) < min(end, anchor.offset + 1):
                for record in await reader.read(timeout_seconds=_READ_SECONDS, records_max=1):
                    return anchor_of(record) == anchor
        finally:
            await reader.close()
        return False

    async def _partition(self, fold: PartitionFold, stored: Stored, manifest: Manifest) -> MembershipPartition:
        loading: Loading | None = None
        async for blob, body in self._store.bodies(stored, manifest.blobs):
            if loading is None:
                loading = await self._offload(partial(Loading, blob, body))
            else:
                await self._offload(partial(loading.feed, blob, body))
        if loading is None:
            raise Damaged("it has no blobs")
        fresh = fold.fresh()
        await self._offload(partial(loading.into, fresh))
        return fresh

    def _behind(self, place: TopicPartition, oldest: int, committed: int) -> str:
        return (
            f"the group has committed {committed} of {place.topic}/{place.partition}, but the checkpoints of committed "
            f"state begin at {oldest}: the group's offsets were reset or have expired, or the topic was made anew. In "
            f"the first case set them to {oldest} (kafka-consumer-groups --reset-offsets --to-offset) for this "
            f"partition; in the second remove everything under {self._store.place(place.partition)}"
        )
