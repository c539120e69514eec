"""An item that can't take effect."""

from typing import NoReturn

from contracts.codes import Code

_QUOTED_CHARS_MAX = 64  # a reply must not grow with what was sent


class ItemFailed(Exception):  # noqa: N818 - named for what became of the item
    """`code` is declared in contracts.codes. Nothing of the item has taken effect; its neighbours go on."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code.code}: {detail}")
        self.code = code
        self.detail = detail


def fail(code: Code, detail: str) -> NoReturn:
    """Raises `ItemFailed`."""
    raise ItemFailed(code, detail)


def quoted(text: str) -> str:
    """What a sender wrote, cut to a length that fits into any reply."""
    return repr(text if len(text) <= _QUOTED_CHARS_MAX else f"{text[:_QUOTED_CHARS_MAX]}…")
