"""Commands since the opening of imports that are still being read, so that they count as later than those imports.

An import takes its place in the order at its `import-open`, but its rows come later: what commands did in between is
laid over it when it is applied (engine.md §1, "Order"). Kept only while something is being read, or held.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Self

from pyroaring import BitMap

from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import OverlaySaved, PatchSaved

_ROOM: Final = 16  # patches of an audience before they are joined: so that joining costs little each


@dataclass(frozen=True, slots=True, order=True)
class _Patch:
    step: int
    adds: bool = field(compare=False)
    members: BitMap = field(compare=False)

    def saved(self, packing: Packing) -> PatchSaved:
        return PatchSaved(self.step, self.adds, packing.bitmap(self.members))

    @classmethod
    def restored(cls, saved: PatchSaved, unpacking: Unpacking) -> Self:
        return cls(saved.step, saved.adds, unpacking.bitmap(saved.members))


@dataclass(frozen=True, slots=True)
class Since:
    """What commands did to one audience since a step: `removed` at any time, `added` and still so at the end."""

    removed: BitMap
    added: BitMap


class Overlay:
    """Adds and removes by audience and step. Replace and clear need no entry: see `Layers.cleared_step`."""

    def __init__(self) -> None:
        self._patches: dict[str, list[_Patch]] = {}

    def saved(self, packing: Packing) -> OverlaySaved:
        patches = sorted(self._patches.items())
        return OverlaySaved({audience_id: [patch.saved(packing) for patch in laid] for audience_id, laid in patches})

    @classmethod
    def restored(cls, saved: OverlaySaved, unpacking: Unpacking) -> Self:
        overlay = cls()
        for audience_id, patches in saved.patches.items():
            overlay._patches[audience_id] = [_Patch.restored(patch, unpacking) for patch in patches]
        return overlay

    def record(self, step: int, audience_id: str, *, adds: bool, members: BitMap, opened: Sequence[int]) -> None:
        """Remembers a patch at its place; an applied removal feed counts at the step that opened it.

        `opened` are the steps of all imports that are open, in order. Patches that none of them parts are joined: an
        import may be held for days, and what is kept must not grow with what is sent meanwhile.
        """
        patches = self._patches.setdefault(audience_id, [])
        insort(patches, _Patch(step, adds, members.copy()))
        if len(patches) > 2 * (len(opened) + 1) + _ROOM:
            groups = groupby(patches, key=lambda patch: bisect_left(opened, patch.step))
            self._patches[audience_id] = [joined for _, group in groups for joined in _joined([*group])]

    def since(self, step: int, audience_id: str) -> Since:
        """What was done after `step`; sets of their own."""
        return _folded(patch for patch in self._patches.get(audience_id, ()) if patch.step > step)

    def forget(self, audience_id: str) -> None:
        """The audience is gone."""
        self._patches.pop(audience_id, None)

    def prune(self, step: int | None) -> None:
        """No import that was opened before `step` is still being read; None: none at all."""
        if step is None:
            self._patches.clear()
            return
        kept = {name: [patch for patch in patches if patch.step > step] for name, patches in self._patches.items()}
        self._patches = {name: patches for name, patches in kept.items() if patches}


def _folded(patches: Iterable[_Patch]) -> Since:
    removed, added = BitMap(), BitMap()
    for patch in patches:
        if patch.adds:
            added |= patch.members
        else:
            added -= patch.members
            removed |= patch.members
    return Since(removed, added)


def _joined(patches: Sequence[_Patch]) -> list[_Patch]:
    """A removal and an addition that do the same as all of them, at the step of the last."""
    done, step = _folded(patches), patches[-1].step
    both = _Patch(step, False, done.removed), _Patch(step, True, done.added)
    return [patch for patch in both if patch.members]
