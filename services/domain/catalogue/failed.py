"""An item that can't take effect."""

from typing import NamedTuple, NoReturn

from contracts.codes import Code

_QUOTED_CHARS_MAX = 64  # a reply must not grow with what was sent


class Invalid(NamedTuple):
    """How many identifiers of an item are none, and some of them: for whoever sent them, and for nobody else."""

    many: int
    sample: list[str]


class ItemFailed(Exception):  # noqa: N818 - named for what became of the item
    """`code` is declared in contracts.codes. Nothing of the item has taken effect; its neighbours go on.

    `invalid`: it has failed because none of its identifiers is any.
    """

    def __init__(self, code: Code, detail: str, *, invalid: Invalid | None = None) -> None:
        super().__init__(f"{code.code}: {detail}")
        self.code = code
        self.detail = detail
        self.invalid = invalid


def fail(code: Code, detail: str) -> NoReturn:
    """Raises `ItemFailed`."""
    raise ItemFailed(code, detail)


def quoted(text: str) -> str:
    """What a sender wrote, cut to a length that fits into any reply."""
    return repr(text if len(text) <= _QUOTED_CHARS_MAX else f"{text[:_QUOTED_CHARS_MAX]}…")
