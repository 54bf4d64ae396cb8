"""A host's way to the store: every question takes it there and back, and it may be slow, cut or deaf."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Protocol

from perdure.contracts.errors import Unavailable
from perdure.testing.simulated_loop import outside
from perdure.testing.simulation.audit import Violation

ANSWER_SECONDS = 12.0
"""So long an answer is waited for; after that the way counts as lost."""
REACH_AGAIN_SECONDS = 0.25


class ProcessGone(Unavailable):
    """Whoever asks was killed; only what ends its tasks hears of this."""


class WayState(Enum):
    """What a way does with what is asked."""

    OPEN = "open"
    REFUSING = "who asks hears at once that there is no way"
    SILENT = "nothing arrives, in either direction, until it is open again"
    DEAF = "what is asked arrives, and no answer comes back"


class Delays(Protocol):
    """How slow a way is."""

    def seconds(self, operation: str) -> float:
        """In one direction, for one question."""
        ...

    def refuses(self, operation: str) -> bool:
        """Whether the store has no time for one question."""
        ...


class _Request:
    """A question under way. Once ``is_void`` nobody carries it out any more."""

    def __init__(self, operation: str, work: Callable[[], Awaitable[Any]]) -> None:
        self.operation = operation
        self.is_void = False
        self.is_done = False
        self._work = work
        self._result: Any = None
        self._error: Exception | None = None
        self.answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether an answer has come back, or the way broke."""

    async def carry_out(self) -> None:
        try:
            self._result = await self._work()
        except Violation:
            # The run is over, and the process that asked is not told why.
            self.is_void = True
            return
        except Exception as error:
            self._error = error
        self.is_done = True

    def answer(self, *, came: bool) -> None:
        if not self.answered.done():
            self.answered.set_result(came)

    def outcome(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


class Way:
    """Of one process. ``begin`` is called at the store's end before each question is carried out."""

    def __init__(self, delays: Delays, begin: Callable[[], None]) -> None:
        self.state = WayState.OPEN
        self.asked: Counter[str] = Counter()
        """How often each operation was asked for."""
        self.lost_count = 0
        """Answers that did not come back."""
        self._delays = delays
        self._begin = begin
        self.is_closed = False
        self._under_way: dict[int, _Request] = {}
        self._opened = asyncio.Event()
        self._opened.set()

    def turn(self, state: WayState) -> None:
        """From here on it is like that."""
        self.state = state
        if state is WayState.OPEN:
            self._opened.set()
        else:
            self._opened.clear()

    def break_off(self, *, at_store: bool) -> None:
        """All that is under way is lost; ``at_store``: what has not been carried out never will be."""
        for request in list(self._under_way.values()):
            request.is_void = request.is_void or at_store
            request.answer(came=False)

    def close(self) -> None:
        """The process is gone: it asks nothing more, but what is on its way may arrive."""
        self.is_closed = True

    async def read(self, operation: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Unavailable when no answer came."""
        request, came = await self._asked(operation, work)
        if not came:
            raise Unavailable("The way to the store is lost.")
        return request.outcome()

    async def change(self, operation: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """When no answer came: find out whether it was done; what was not done never will be."""
        request, came = await self._asked(operation, work)
        if not came:
            self.lost_count += 1
            await self._reach_again(operation)
            if not self.was_done(request):
                raise Unavailable("It was not done.")
        return request.outcome()

    def was_done(self, request: _Request) -> bool:
        """Whether the store has done it; if not, it will not."""
        request.is_void = not request.is_done
        return request.is_done

    async def _reach_again(self, operation: str) -> None:
        while self.state is not WayState.OPEN:
            self._check()
            await asyncio.sleep(REACH_AGAIN_SECONDS)
        await asyncio.sleep(self._delays.seconds(operation))
        self._check()

    async def _asked(self, operation: str, work: Callable[[], Awaitable[Any]]) -> tuple[_Request, bool]:
        self._check()
        if self.state is WayState.REFUSING or self._delays.refuses(operation):
            raise Unavailable("The store cannot be reached.")
        self.asked[operation] += 1
        request = _Request(operation, work)
        self._under_way[id(request)] = request
        asyncio.get_running_loop().create_task(self._carry(request), context=outside())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return request, await request.answered
        except TimeoutError:
            return request, False

    async def _carry(self, request: _Request) -> None:
        """There and back; the process may be gone or standing still meanwhile."""
        try:
            await self._pass(request.operation)
            if request.is_void:
                return
            self._begin()
            await request.carry_out()
            if self.state is WayState.DEAF or request.is_void:
                return
            await self._pass(request.operation)
            request.answer(came=True)
        finally:
            del self._under_way[id(request)]

    async def _pass(self, operation: str) -> None:
        if (seconds := self._delays.seconds(operation)) > 0:
            await asyncio.sleep(seconds)
        while self.state is WayState.SILENT:
            await self._opened.wait()

    def _check(self) -> None:
        if self.is_closed:
            raise ProcessGone("The process was killed.")
