"""One call for many tasks: what is asked for while a call is under way goes out together in the next one.

A thousand lanes that each asked for themselves would wait for one another longer than a request may take. Knows nothing
of what is asked. Used where lanes report, commit, and ask where they stand, and where small writes wait.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, TypeVar, cast

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Batch(Generic[Asked, Answer]):
    """What goes out in one call, and how that has ended."""

    asked: list[Asked] = field(default_factory=list)
    answer: Answer | None = None
    error: Exception | None = None
    traceback: TracebackType | None = None
    has_ended: bool = False

    def failed(self, error: Exception) -> None:
        self.error, self.traceback, self.has_ended = error, error.__traceback__, True

    def result(self) -> Answer:
        if self.error is not None:
            raise self.error.with_traceback(self.traceback)  # else it grows, and holds the frames of all who raise it
        return cast("Answer", self.answer)


class Together(Generic[Asked, Answer]):
    """`call` gets all that was asked for since the former call began, in order. One call is under way at a time."""

    def __init__(self, call: Callable[[Sequence[Asked]], Awaitable[Answer]]) -> None:
        self._call = call
        self._next: _Batch[Asked, Answer] = _Batch()
        self._under_way: asyncio.Future[None] | None = None

    async def ask(self, asked: Iterable[Asked]) -> Answer:
        """The answer to a call that was begun after this, with `asked` and what others ask for; raises what it raises.

        The call is made by one of those who wait for it. Where that one is cancelled, another makes it anew.
        """
        batch = self._next
        batch.asked += asked
        while not batch.has_ended:
            if self._under_way is None:
                await self._make(batch)
            else:
                await asyncio.wait((self._under_way,))
        return batch.result()

    async def _make(self, batch: _Batch[Asked, Answer]) -> None:
        if batch is self._next:
            self._next = _Batch()
        self._under_way = ended = asyncio.get_running_loop().create_future()
        try:
            batch.answer = await self._call(batch.asked)
            batch.has_ended = True
        except Exception as error:  # noqa: BLE001 - each of those who wait raises it
            batch.failed(error)
        finally:
            self._under_way = None
            ended.set_result(None)
