"""The destination: a fake `Web` with a well-behaved receiver behind it that does not always answer well."""

from random import Random

from services.runtime.clock import Clock
from services.runtime.failures import Unavailable
from services.runtime.web import WebAnswer, WebRequest
from services.tools.received import Received
from tests.simulation.loop import is_dead

URL = "https://receiver.example/hook"


class Receiver:
    """Implements `Web`. `share` of the requests end badly, of these some after they took effect."""

    def __init__(self, random: Random, clock: Clock) -> None:
        self.received = Received()
        self.share = 0.0
        self._random = random
        self._clock = clock

    async def send(self, request: WebRequest) -> WebAnswer:
        assert request.url == URL
        await self._clock.sleep(self._random.uniform(0, 0.2))
        self._check_alive()
        bad = self._random.random() < self.share
        if not bad or self._random.random() < 0.4:
            self.received.take(request.headers, request.body, self._clock.now_ms() / 1000)
        answer = await self._bad_answer(request) if bad else WebAnswer(200, {}, b"")
        self._check_alive()
        return answer

    async def close(self) -> None:
        """Nothing is held."""

    async def _bad_answer(self, request: WebRequest) -> WebAnswer:
        match self._random.choice(("500", "503", "429", "reset", "hang")):
            case "429":
                return WebAnswer(429, {"retry-after": str(self._random.randint(0, 4))}, b"")
            case "reset":
                raise Unavailable("the connection was reset")
            case "hang":
                await self._clock.sleep(request.timeout_seconds)
                raise Unavailable("no answer in time")
            case status:
                return WebAnswer(int(status), {}, b"")

    def _check_alive(self) -> None:
        if is_dead():
            raise Unavailable("whoever asks was killed")
