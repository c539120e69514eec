"""The reply to a command, gathered item by item (contracts.md §3)."""

import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from contracts import codec
from contracts.codes import Code
from contracts.instants import instant_text
from contracts.messages.entities import KIND_PLURAL, CatalogueEntity, entity_id, entity_kind
from contracts.messages.published import Problem, Reply, ReplyCounts
from services.domain.catalogue.failed import Invalid

_COMPRESSION_LEVEL = 1  # a reply of 1 KiB takes 20 µs
_SHORT = frozenset(
    {
        "item",
        "version",
        "deleted",
        "counts",
        "import_id",
        "snapshot_id",
        "total",
        "offset",
        "limit",
        *(f"{kind}_id" for kind in KIND_PLURAL),
    }
)


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """An item that took effect: `data` for the reply, `warnings`, and the step that the reply has to wait for.

    `effect_ms`: when it shows and when it is expected to be live, None: both now.
    """

    data: dict[str, object]
    warnings: tuple[tuple[Code, str], ...] = ()
    waits_for_step: int | None = None
    effect_ms: tuple[int, int] | None = None


@dataclass(slots=True)
class Answer:
    """Gathers; `reply` says it."""

    items: int
    trace_id: str
    data: list[dict[str, object]] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    waits_for_step: int | None = None
    effect_ms: tuple[int, int] = (0, 0)  # the latest of all items

    def applied(self, item: int, answer: ItemAnswer) -> None:
        """The item took effect."""
        self.data.append({"item": item, **answer.data})
        for code, detail in answer.warnings:
            self.warn(code, detail, item)
        if answer.waits_for_step is not None:
            self.waits_for_step = max(answer.waits_for_step, self.waits_for_step or 0)
        if answer.effect_ms is not None:
            effective_ms, live_ms = answer.effect_ms
            self.effect_ms = max(effective_ms, self.effect_ms[0]), max(live_ms, self.effect_ms[1])

    def failed(self, code: Code, detail: str, item: int | None, invalid: Invalid | None = None) -> None:
        """The item did not take effect; None: something about the command as a whole."""
        made = problem(code, detail, item, self.trace_id)
        if invalid is not None:
            made = msgspec.structs.replace(made, valid=0, invalid=invalid.many, sample_invalid=invalid.sample)
        self.errors.append(made)

    def warn(self, code: Code, detail: str, item: int | None) -> None:
        """A remark on an item that took effect, or on the command as a whole."""
        self.warnings.append(problem(code, detail, item, self.trace_id))

    def reply(self, at_ms: int) -> Reply:
        """An accepted reply; with several items it says when the last of them shows."""
        failed = sum(1 for one in self.errors if one.item is not None)
        assert len(self.data) + failed == self.items, "every item ends in exactly one of applied, failed"
        return Reply(
            status="accepted",
            counts=ReplyCounts(items=self.items, applied=len(self.data), failed=failed),
            data=self.data,
            errors=self.errors,
            warnings=self.warnings,
            effective_at=instant_text(max(at_ms, self.effect_ms[0])),
            expected_live_at=instant_text(max(at_ms, self.effect_ms[1])),
            trace_id=self.trace_id,
        )


def rejected(code: Code, detail: str, at: str, trace_id: str) -> Reply:
    """The reply to a command of which nothing was understood."""
    return Reply(
        status="rejected",
        counts=ReplyCounts(),
        errors=[problem(code, detail, None, trace_id)],
        effective_at=at,
        expected_live_at=at,
        trace_id=trace_id,
    )


def problem(code: Code, detail: str, item: int | None, trace_id: str) -> Problem:
    """A failed item, or a remark on one."""
    instance = "@data" if item is None else f"@data/{item}"
    return Problem(
        item=item,
        code=code.code,
        type=code.type,
        instance=instance,
        title=code.title,
        detail=detail,
        trace_id=trace_id,
    )


def entity_data(entity: CatalogueEntity, *, deleted: bool = False) -> dict[str, object]:
    """The entity as it now stands; of a deleted one `<kind>_id` and `version`."""
    if deleted:
        return {f"{entity_kind(entity)}_id": entity_id(entity), "version": entity.version, "deleted": True}
    form: dict[str, object] = msgspec.to_builtins(entity)
    del form["kind_of_entity"]
    return form


class Said(NamedTuple):
    """A reply and its bytes, encoded once; `kept` are those that state remembers, empty where it keeps none."""

    reply: Reply
    body: bytes
    kept: bytes


def said(reply: Reply, *, bytes_max: int, kept_bytes_max: int | None) -> Said:
    """The reply, cut to ids, versions and codes where it would not fit into its record or, packed, into state.

    `kept_bytes_max` None: it is not kept.
    """
    whole = _said(reply, is_kept=kept_bytes_max is not None)
    if len(whole.body) <= bytes_max and (kept_bytes_max is None or len(whole.kept) <= kept_bytes_max):
        return whole
    cut = msgspec.structs.replace(
        reply,
        data=[_short(one) for one in reply.data],
        errors=[msgspec.structs.replace(one, detail="", sample_invalid=[]) for one in reply.errors],
        warnings=[msgspec.structs.replace(one, detail="") for one in reply.warnings],
    )
    return _said(cut, is_kept=kept_bytes_max is not None)


def _said(reply: Reply, *, is_kept: bool) -> Said:
    body = codec.encode(reply)
    return Said(reply, body, zlib.compress(body, _COMPRESSION_LEVEL) if is_kept else b"")


def _short(data: dict[str, object]) -> dict[str, object]:
    """Of what a search has found, the ids."""
    short = {name: value for name, value in data.items() if name in _SHORT}
    results = data.get("results")
    return short | {"results": [_short(one) for one in results]} if isinstance(results, list) else short


def packed(reply: Reply) -> bytes:
    """The form in which a reply is remembered."""
    return zlib.compress(codec.encode(reply), _COMPRESSION_LEVEL)


def unpacked(remembered: bytes) -> bytes:
    """The bytes of the reply as they were sent."""
    return zlib.decompress(remembered)
