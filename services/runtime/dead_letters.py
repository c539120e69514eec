"""Makes dead letters: the original byte for byte, and `dlq-*` headers that say why and whence (contracts.md §2).

Called by whoever met the record (watch, control, lanes); writing it durably before the original is committed is theirs.
"""

from typing import Final

from contracts.catalog import DEAD_LETTERS
from contracts.codec import Headers
from contracts.codes import Code
from contracts.records import Out, Record

_DETAIL_CHARS_MAX: Final = 1000  # the detail explains, the value is the evidence
_OURS: Final = "dlq-"


def dead_letter(record: Record, code: Code, detail: str, *, service: str, attempts: int = 1) -> Out:
    """The dead letter of a record: key, value and headers as read, `dlq-topic` without prefix.

    `detail` must not hold identifiers. A letter that was sent again and died again says only why it died now.
    """
    whence = [("dlq-topic", record.topic), ("dlq-partition", str(record.partition)), ("dlq-offset", str(record.offset))]
    original = tuple((name, text) for name, text in record.headers if not name.startswith(_OURS))
    headers = original + _reasons(code, detail, whence, service, attempts)
    return Out(topic=DEAD_LETTERS, key=record.key, value=record.value, headers=headers)


def dead_letter_of_message(
    body: bytes, code: Code, detail: str, *, source: str, message_id: str, service: str, attempts: int
) -> Out:
    """The dead letter of what did not come from Kafka: `source` (a queue's URL) is `dlq-topic`, its id `dlq-offset`."""
    whence = [("dlq-topic", source), ("dlq-partition", "-1"), ("dlq-offset", message_id)]  # readers expect all three
    headers = _reasons(code, detail, whence, service, attempts)
    return Out(topic=DEAD_LETTERS, key=None, value=body, headers=headers)


def _reasons(code: Code, detail: str, whence: list[tuple[str, str]], service: str, attempts: int) -> Headers:
    assert attempts >= 1, "whoever gives up has tried"
    why = [("dlq-code", code.code), ("dlq-detail", detail[:_DETAIL_CHARS_MAX])]
    who = [("dlq-service", service), ("dlq-attempts", str(attempts))]
    return tuple((name, text.encode(errors="replace")) for name, text in (*why, *whence, *who))
