"""A space as its user believes it to be."""

from dataclasses import dataclass, field

from tests.simulation.files import Feed, File


@dataclass
class Space:
    """`time_ms` is that of its clock; names are of what was asked for, whether it came to be or not."""

    name: str
    manual: bool
    id_type: str
    identities: list[str]
    time_ms: int
    lists: list[str] = field(default_factory=list)
    composed: list[str] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)
    written: list[File] = field(default_factory=list)
    made: int = 0

    def new(self, what: str) -> str:
        self.made += 1
        return f"{what}{self.made}"
