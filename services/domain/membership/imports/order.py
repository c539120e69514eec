"""The order of imports among themselves (engine.md §1)."""

from dataclasses import dataclass

from contracts.messages.steps import ImportOpenStep


@dataclass(frozen=True, slots=True, order=True)
class ImportOrder:
    """By day, then event time, then sequencer where both are of one key, then import id.

    The key stands between event time and sequencer so that the order is total: sequencers of different keys mean
    nothing to each other, and a rule that skipped them only then could go in a circle.
    """

    day: str
    event_time_ms: int
    object_key: str
    sequencer: str
    import_id: str

    @classmethod
    def of(cls, step: ImportOpenStep) -> "ImportOrder":
        """S3 sequencers are hexadecimal; of two the shorter counts as padded with zeros on the right."""
        sequencer = (step.sequencer or "").lower().rstrip("0")
        return cls(step.day, step.event_time_ms, step.object_key, sequencer, step.import_id)
