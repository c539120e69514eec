"""What an audit says: one line for each broken law, bounded for each law so that one fault does not hide the others."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

LINES_A_LAW: Final = 20

LAWS: Final[dict[str, str]] = {
    "activation-adds-up": "changes = dropped + merged + delivered + dead-lettered + pending, and nothing is negative",
    "activation-counts-changes": "an activation has counted or holds every change and snapshot member since it started",
    "alternation": "per audience and member, entered and exited strictly alternate, entered first",
    "change-form": "a change has 1 to 1,000 members, and its headers and value say the same",
    "change-id": "the id of a change record is unique",
    "code-declared": "every code in a reply, import or dead letter is declared in contracts.codes",
    "composition": "a composed audience has the members that its expression gives over its parts",
    "dead-letter-form": "a dead letter says why and whence",
    "home-partition": "a member's changes are on the partition that the published function gives",
    "import-adds-up": "rows = valid + rejected, and duplicate is part of valid",
    "import-changes": "the entered and exited of an applied import are the changes that name it as their cause",
    "import-state": "an import is in a known state",
    "name-unique": "a name is unique for its space and kind",
    "reply": "every readable command has a reply; repeats of it get the same one",
    "size": "the size of an audience on a partition is what its changes add up to",
    "step-order": "the steps of a space never go back on a partition",
}


@dataclass(slots=True)
class Report:
    """Broken laws, as they were found."""

    lines: list[str] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)

    def ok(self, law: str, times: int = 1) -> None:
        """`times` facts were held against the law and none broke it."""
        assert law in LAWS, law
        self.checked[law] += times

    def broke(self, law: str, detail: str) -> None:
        assert law in LAWS, law
        self.checked[law] += 1
        self.broken[law] += 1
        if self.broken[law] <= LINES_A_LAW:
            self.lines.append(f"{law}: {detail}")
        elif self.broken[law] == LINES_A_LAW + 1:
            self.lines.append(f"{law}: … and more")

    def hold(self, law: str, detail: str, *, held: bool) -> None:
        """One fact held against one law."""
        if held:
            self.ok(law)
        else:
            self.broke(law, detail)
