"""Compiled loops where nothing can be kept, and tables whose slots can't be trusted."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pytest

from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.identities import loops
from services.domain.membership.identities.compiled import WORD, compiled, read
from services.domain.membership.identities.forms import FormTable
from services.domain.membership.identities.loops import Slots
from services.domain.rows import Form, Identities


def test_without_a_folder_to_keep_it_in_a_loop_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, kept = numba.njit, []

    def njit(*signatures: Any, cache: bool = False, **options: Any) -> Any:
        kept.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return theirs(*signatures, **options)

    monkeypatch.setattr(numba, "njit", njit)

    @compiled((read(WORD),))
    def total(words: Slots) -> int:
        found = np.int64(0)
        for word in words:
            found += np.int64(word)
        return int(found)

    assert total(np.arange(5, dtype=np.uint64)) == 10
    assert kept == [True, False]


UNTRUSTED: dict[str, Callable[[Slots], Slots]] = {
    "none": lambda slots: slots[:0],
    "one fewer": lambda slots: slots[:-1],
    "too few": lambda slots: slots[:64],
    "one missing": lambda slots: np.where(slots == slots.max(), 0, slots),
    "all taken": lambda slots: np.where(slots == 0, 1, slots),
    "positions that were never given": lambda slots: np.where(slots == 0, 0, slots | 0xFFFF),
    "elsewhere": lambda slots: slots[::-1].copy(),
}


@pytest.mark.parametrize("what", UNTRUSTED)
@pytest.mark.parametrize("form", [Form.UUID, Form.TEXT])
def test_slots_that_lead_astray_are_made_anew(what: str, form: Form) -> None:
    values = np.random.default_rng(3).integers(0, 128, (100, 16), dtype=np.uint8)
    identities = Identities.of_bytes(Form.UUID, values)
    if form is Form.TEXT:
        identities = Identities.of_text(pa.array([row.tobytes() for row in values]))
    table = FormTable(form)
    table.intern(identities)
    table._slots = UNTRUSTED[what](table._slots).astype(np.uint64)
    pieces: list[bytes] = []
    packing = Packing(lambda piece: pieces.append(bytes(piece)))
    saved = table.saved(packing)
    unpacking = Unpacking(packing.sections)
    for piece in [*pieces, *map(bytes, chain.from_iterable(packing.views()))]:
        unpacking.feed(piece)
    restored = FormTable.restored(form, saved, unpacking.finished())
    assert restored.intern(identities).tolist() == list(range(100))
    assert len(restored.arena) == 100


@pytest.mark.parametrize("more", [10, 60, 5_000])
def test_slots_are_saved_as_they_were(more: int) -> None:
    """Whatever became known between the copy and its writing, whether the slots were widened for it or not."""
    values = np.random.default_rng(4).integers(0, 256, (100 + more, 16), dtype=np.uint8)
    identities = Identities.of_bytes(Form.UUID, values)
    table = FormTable(Form.UUID)
    table.intern(identities.part(0, 100))
    was = table._slots.copy()
    packing = Packing(lambda _: None)
    saved = table.saved(packing)
    table.intern(identities)
    unpacking = Unpacking(packing.sections)
    for piece in chain.from_iterable(packing.views()):
        unpacking.feed(bytes(piece))
    assert (unpacking.finished().array(saved.slots) == was).all()
    restored = FormTable.restored(Form.UUID, saved, unpacking)
    assert restored.intern(identities).tolist() == list(range(100 + more))


@pytest.mark.parametrize("slots", [256, 1000, 3 << 19])
def test_any_number_of_slots(slots: int) -> None:
    """Also where the last slots are taken, and the search goes on with the first."""
    count = slots * 3 // 4
    hashes = np.sort(np.random.default_rng(5).integers(0, 1 << 64, count, dtype=np.uint64))[::-1].copy()
    hashes[:20] = (1 << 64) - 1  # all in the last slot's place
    words = np.arange(2 * count, dtype=np.uint64).reshape(-1, 2)
    values, table, found = np.zeros_like(words), np.zeros(slots, dtype=np.uint64), np.empty(count, dtype=np.uint32)
    assert loops.intern_words(words, hashes, values, 0, table, found) == count
    assert (found == np.arange(count)).all()
    wider = np.zeros(slots * 3 // 2, dtype=np.uint64)
    loops.widen(table, wider)
    for laid_out in (table, wider):
        order = np.random.default_rng(6).permutation(count)
        assert loops.intern_words(words[order], hashes[order], values, count, laid_out, found) == count
        assert (found == order).all()
