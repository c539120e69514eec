"""What texts of commands have to look like, and what a person is told in place of a regular expression.

The patterns mean the same in Python and in JSON Schema (ECMA 262); `$` alone would allow a last line feed.
"""

from typing import Final

_CONTROL: Final = r"\x00-\x1f\x7f"
_NO_WIDTH: Final = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0"
)
_SEEN: Final = rf"[^{_CONTROL}]*[^\s{_CONTROL}{_NO_WIDTH}][^{_CONTROL}]*"

VISIBLE: Final = rf"^{_SEEN}$(?!\n)"
VISIBLE_OR_EMPTY: Final = rf"^({_SEEN})?$(?!\n)"
HOUR: Final = r"^([01][0-9]|2[0-3]):00$(?!\n)"
TIME_OF_DAY: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)"
COUNTRY: Final = r"^[0-9]{1,3}$(?!\n)"
MARKER: Final = r"^[^/\x00-\x1f\x7f]*$(?!\n)"
SORT: Final = r"^-?(id|name|created_at|updated_at)$(?!\n)"

IN_WORDS: Final = {
    VISIBLE: "with a visible character and without control characters",
    VISIBLE_OR_EMPTY: "that is empty, or has a visible character and no control characters",
    HOUR: "that is an hour of the day, 00:00 to 23:00",
    TIME_OF_DAY: "that is a time of the day, 00:00 to 23:59",
    COUNTRY: "of one to three digits",
    MARKER: "without slashes and control characters",
    SORT: "that is one of id, name, created_at, updated_at, with or without a - before it",
}
"""What follows "Expected `str`" where a text does not match."""
