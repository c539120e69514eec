"""Meta's `/usersreplace` and `/users` by the rules of destinations.md §2, held to strictly."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from services.connectors.meta_audience.sessions import NOBODY
from services.runtime.failures import Unavailable
from services.runtime.web import WebAnswer, WebRequest

HASH = re.compile(r"[0-9a-f]{64}")
SESSION_SECONDS_MAX = 90 * 60.0


@dataclass
class _Session:
    id: int
    began: float
    rows: list[list[str]]
    total: int


@dataclass
class SessionServer:
    """One audience. A session begins with batch 1, has its batches in order, or the same again, and ends with the last.

    None begins while another is open, for 90 minutes; an id that has ended is not taken again. A wrong total is
    tolerated. `seconds` is the time there.
    """

    seconds: float = 0.0
    members: set[str] = field(default_factory=lambda: {"stale"})
    replaced: list[tuple[int, int, int]] = field(default_factory=list)
    """Of each session that ended: its id, batches, and the total that was said."""
    refused: list[str] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    opened: _Session | None = None
    requests: int = 0
    lost: set[int] = field(default_factory=set)
    """The requests, by number, that take effect, and whose answers are lost."""
    broken: set[int] = field(default_factory=set)
    """The requests, by number, that end the session that is open."""
    invalid: bool = False

    def take(self, request: WebRequest) -> WebAnswer:
        self.requests += 1
        answer = self._answer(request)
        if self.requests in self.lost:
            raise Unavailable("reset")
        return answer

    def _answer(self, request: WebRequest) -> WebAnswer:
        said = msgspec.json.decode(request.body)
        rows = said["payload"]["data"]
        if not 1 <= len(rows) <= 10_000 or not all(HASH.fullmatch(row) for row in rows):
            return self._refuse("rows", 100)
        path = urlsplit(request.url).path
        if path.endswith("/238/usersreplace"):
            assert request.method == "POST"
            return self._part(said["session"], rows)
        assert path.endswith("/238/users")
        if self.opened is not None:
            self.refused.append("a change while a session was open")
        self.members = self.members | {*rows} if request.method == "POST" else self.members - {*rows}
        return self._received(rows)

    def _part(self, session: dict[str, Any], rows: list[str]) -> WebAnswer:
        assert set(session) == {"session_id", "batch_seq", "last_batch_flag", "estimated_num_total"}
        if self.invalid:
            return self._refuse("invalid", 100)
        number, session_id = session["batch_seq"], session["session_id"]
        assert 0 <= session_id < 1 << 63
        if self.opened is not None and self.seconds - self.opened.began > SESSION_SECONDS_MAX:
            self.ended.add(self.opened.id)
            self.opened = None
        if self.requests in self.broken and self.opened is not None:
            self.ended.add(self.opened.id)
            self.opened = None
        if session_id in self.ended:
            return self._refuse("a session that has ended", 2650, 1870147)
        if self.opened is None:
            self.opened = _Session(session_id, self.seconds, [], session["estimated_num_total"])
        if self.opened.id != session_id:
            return self._refuse("another session is open", 2650, 1870145)
        batches = self.opened.rows
        if number == len(batches) + 1:
            batches.append(rows)
        elif not 1 <= number <= len(batches) or batches[number - 1] != rows:
            return self._refuse("out of sequence", 2650, 1870147)
        if session["last_batch_flag"]:
            self.members = {row for batch in batches for row in batch} - {NOBODY}
            self.replaced.append((session_id, len(batches), self.opened.total))
            self.ended.add(session_id)
            self.opened = None
        return self._received(rows)

    def _received(self, rows: list[str]) -> WebAnswer:
        return WebAnswer(200, {}, msgspec.json.encode({"num_received": len(rows), "num_invalid_entries": 0}))

    def _refuse(self, why: str, code: int, subcode: int = 0) -> WebAnswer:
        self.refused.append(why)
        return WebAnswer(400, {}, msgspec.json.encode({"error": {"code": code, "error_subcode": subcode}}))
