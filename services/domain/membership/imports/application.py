"""What one import does to one list audience, at the step that applies it. Rules: engine.md §1."""

from pyroaring import BitMap

from contracts.instants import DAY_MS, day_start_ms
from contracts.messages.steps import ImportOpenStep
from services.domain.membership.audiences.layers import DatedLayer, Layers
from services.domain.membership.audiences.members import UNCHANGED, Difference, ListAudience
from services.domain.membership.imports.overlay import Since
from services.domain.membership.imports.staging import OpenImport, Reading


def is_expired(opened: ImportOpenStep, at_ms: int) -> bool:
    """Whether its layer would already have left (rule 10)."""
    return opened.mode == "append" and _leaves_ms(opened) <= at_ms


def is_superseded(audience: ListAudience, opened: OpenImport) -> bool:
    """Whether the audience's base is newer (rules 1, 2). A removal never is: nobody who opted out comes back by it."""
    return opened.step.mode != "remove" and audience.layers.is_newer(opened.order)


def apply_import(
    audience: ListAudience, opened: OpenImport, reading: Reading, since: Since, *, at_ms: int
) -> Difference:
    """Applies one that is neither expired nor superseded. `since`: what commands did after it was opened."""
    step, layers = opened.step, audience.layers
    if layers.cleared_step > step.step:
        return UNCHANGED  # a later replace or clear has undone all that it could do
    named = reading.members(audience.id_type, audience.audience_id)
    match step.mode:
        case "remove":
            layers.remove(named, added_since=since.added)
            return audience.settle_layers(named)
        case "replace":
            _refresh(layers, opened, named, since, at_ms)
            return audience.settle_layers()
        case "append":
            layer = DatedLayer(opened.order, _leaves_ms(step), named - since.removed)
            moved = layers.append(layer, lookback_days=_lookback_days(step), at_ms=at_ms)
            difference = audience.settle_layers(moved)
            audience.share()
            return difference


def removed_by(audience: ListAudience, opened: OpenImport, reading: Reading, since: Since, *, at_ms: int) -> int:
    """How many present members a full refresh that is not superseded would remove, applied now. Changes nothing."""
    if audience.layers.cleared_step > opened.step.step:
        return 0
    layers = audience.layers.twin()
    _refresh(layers, opened, reading.members(audience.id_type, audience.audience_id), since, at_ms)
    return len(audience.members) - audience.members.intersection_cardinality(layers.union())


def _refresh(layers: Layers, opened: OpenImport, named: BitMap, since: Since, at_ms: int) -> None:
    day_ms = day_start_ms(opened.step.day)
    layers.refresh(named - since.removed, order=opened.order, day_ms=day_ms, added=since.added, at_ms=at_ms)


def _leaves_ms(opened: ImportOpenStep) -> int:
    return day_start_ms(opened.day) + _lookback_days(opened) * DAY_MS


def _lookback_days(opened: ImportOpenStep) -> int:
    if opened.lookback_days is None or opened.lookback_days < 1:
        raise ValueError(f"append {opened.import_id} without a lookback")
    return opened.lookback_days
