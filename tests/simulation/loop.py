"""An event loop whose time is virtual and whose tasks belong to processes that can be frozen and killed.

Time moves only when nothing else can run, and then straight to the next timer. Nothing leaves the loop's thread: what
would run in another one runs in place, after a delay. So a run is a function of its seed, and hours take seconds.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Generator, Mapping
from concurrent.futures import Executor
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

KILL_TURNS_MAX: Final = 10_000  # a task that has not ended by then swallows its cancellation


class Stuck(Exception):  # noqa: N818 - it says what the simulation is
    """No task can run and none waits for time: everybody waits for somebody."""


class Process:
    """What runs in it is found by the context of its callbacks; it dies and freezes at any await."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._parked: list[tuple[Callable[..., object], tuple[Any, ...], Context]] = []

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Runs `work`, and whatever it starts, in this process."""
        context = copy_context()
        context.run(PROCESS.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def freeze(self) -> None:
        """Nothing of it runs until `thaw`; the world goes on."""
        self.frozen = True

    def thaw(self) -> None:
        """Everything that waited runs, as after a SIGCONT."""
        self.frozen = False
        parked, self._parked = self._parked, []
        for callback, args, context in parked:
            asyncio.get_running_loop().call_soon(callback, *args, context=context)

    async def kill(self) -> None:
        """Ends all its tasks where they stand. Whatever they do while they end must have no effect: see `dead`."""
        self.dead = True
        self.thaw()
        for _ in range(KILL_TURNS_MAX):
            if not self._tasks:
                return
            for task in list(self._tasks):
                task.cancel()
            await asyncio.sleep(0)
        raise AssertionError(f"{self.name}: these can't be cancelled: {list(self._tasks)}")

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """Those that have not ended."""
        return list(self._tasks)

    def run(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        if self.frozen:
            self._parked.append((callback, args, context))
        else:
            callback(*args)

    def own(self, task: asyncio.Task[Any]) -> None:
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)


PROCESS: Final[ContextVar[Process]] = ContextVar("process")


def is_dead() -> bool:
    """Whether whoever calls is a process that was killed."""
    process = PROCESS.get(None)
    return process is not None and process.dead


class _Autojump(selectors.BaseSelector):
    """Waits for no file: it moves the time."""

    def __init__(self) -> None:
        self.now_seconds = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self._keys[fileobj] = selectors.SelectorKey(fileobj, 0, events, data)
        return self._keys[fileobj]

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck
        self.now_seconds += max(timeout, 0.0)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """`thread_seconds` says how long work takes that would run in another thread."""

    def __init__(self, thread_seconds: Callable[[], float] = lambda: 0.0) -> None:
        self._autojump = _Autojump()
        self._thread_seconds = thread_seconds
        super().__init__(self._autojump)

    def time(self) -> float:
        return self._autojump.now_seconds

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        context = copy_context() if context is None else context
        task: asyncio.Task[T] = super().create_task(coro, name=name, context=context)
        process = context.get(PROCESS)
        if process is not None:
            process.own(task)
        return task

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(process.run, callback, args, context, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        return super().call_at(when, process.run, callback, args, context, context=context)

    def run_in_executor(  # type: ignore[override]  # typeshed names the awaitable by the loop's own future
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """In place: what the function does happens at one instant, when its time has passed."""
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
                future.set_exception(error)

        self.call_later(self._thread_seconds(), run)
        return future


class VirtualClock:
    """Implements `Clock` on the loop that runs; `start_ms` is when the simulation begins."""

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms

    def now_ms(self) -> int:
        return self._start_ms + int(self.monotonic_seconds() * 1000)

    def monotonic_seconds(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
