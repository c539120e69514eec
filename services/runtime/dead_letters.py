"""Makes dead letters: the original byte for byte, and `dlq-*` headers that say why and whence (contracts.md §2).

Called by whoever met the record (watch, control, lanes); writing it durably before the original is committed is theirs.
"""

from typing import Final

from msgspec.structs import replace

from contracts.catalog import DEAD_LETTERS, topic_pages
from contracts.codec import Headers
from contracts.codes import Code
from contracts.records import Out, Record

_DETAIL_CHARS_MAX: Final = 1000  # the detail explains, the value is the evidence
_OURS: Final = "dlq-"
_HEADER_BYTES: Final = 10  # the lengths of its name and text
_RECORD_BYTES: Final = 256  # the heads of a batch and of a record, the length of the value


def dead_letter(record: Record, code: Code, detail: str, *, service: str, attempts: int = 1) -> Out:
    """The dead letter of a record: key, value and headers as read, `dlq-topic` without prefix.

    `detail` must not hold identifiers. A letter that was sent again and died again says only why it died now.
    """
    whence = [("dlq-topic", record.topic), ("dlq-partition", str(record.partition)), ("dlq-offset", str(record.offset))]
    original = tuple((name, text) for name, text in record.headers if not name.startswith(_OURS))
    headers = original + _reasons(code, detail, whence, service, attempts)
    return _fitted(Out(topic=DEAD_LETTERS, key=record.key, value=record.value, headers=headers))


def dead_letter_of_message(
    body: bytes, code: Code, detail: str, *, source: str, message_id: str, service: str, attempts: int
) -> Out:
    """The dead letter of what did not come from Kafka: `source` (a queue's URL) is `dlq-topic`, its id `dlq-offset`."""
    whence = [("dlq-topic", source), ("dlq-partition", "-1"), ("dlq-offset", message_id)]  # readers expect all three
    headers = _reasons(code, detail, whence, service, attempts)
    return _fitted(Out(topic=DEAD_LETTERS, key=None, value=body, headers=headers))


def _fitted(letter: Out) -> Out:
    """The letter as its topic takes it: a value that is too long is cut, and its length stands in a header.

    A record may be larger than what its topic takes: the limit counts a batch as its sender compressed it. Headers
    that alone would fill the letter are left out.
    """
    bytes_max = topic_pages()[DEAD_LETTERS].max_message_bytes
    if _heads_bytes(letter) > bytes_max // 2:
        letter = replace(letter, headers=tuple(one for one in letter.headers if one[0].startswith(_OURS)))
    room_bytes = max(bytes_max - _heads_bytes(letter), 0)
    if letter.value is None or len(letter.value) <= room_bytes:
        return letter
    length = (_OURS + "value-bytes", str(len(letter.value)).encode())
    return replace(letter, value=letter.value[:room_bytes], headers=(*letter.headers, length))


def _heads_bytes(letter: Out) -> int:
    headers = sum(len(name) + len(text or b"") + _HEADER_BYTES for name, text in letter.headers)
    return _RECORD_BYTES + len(letter.key or b"") + headers


def _reasons(code: Code, detail: str, whence: list[tuple[str, str]], service: str, attempts: int) -> Headers:
    assert attempts >= 1, "whoever gives up has tried"
    why = [("dlq-code", code.code), ("dlq-detail", detail[:_DETAIL_CHARS_MAX])]
    who = [("dlq-service", service), ("dlq-attempts", str(attempts))]
    return tuple((name, text.encode(errors="replace")) for name, text in (*why, *whence, *who))
