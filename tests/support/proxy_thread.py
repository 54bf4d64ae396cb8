"""The cutting proxy on a thread of its own, between one process and its database."""

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from types import TracebackType
from typing import Self

from support.cutting_proxy import Cut, CuttingProxy


class ProxyThread:
    """Runs from ``with`` to its end; ``url`` leads to the server through it. Each call has effect when it returns."""

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        self._proxy = CuttingProxy(url, address)
        self._loop = asyncio.new_event_loop()
        self._running = AsyncExitStack()
        self._thread = threading.Thread(target=self._turn)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._running.enter_async_context(self._proxy.running()), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return self._proxy.url

    @property
    def cuts(self) -> int:
        """How many requests were cut."""
        return self._proxy.cuts

    def swallow(self) -> None:
        """From here on nothing is carried, and nobody is told."""
        self._do(self._proxy.swallow)

    def carry(self) -> None:
        self._do(self._proxy.carry)

    def cut_all(self) -> None:
        self._do(self._proxy.cut_all)

    def cut_next(self, cut: Cut) -> None:
        self._do(lambda: self._proxy.cut_next(cut))

    def delay(self, seconds: float) -> None:
        """Each answer from here on comes so much later."""
        self._proxy.delay_seconds = seconds

    @contextmanager
    def cutting(self, dice: random.Random, *, every_seconds: float) -> Iterator[None]:
        """Lose requests and answers again and again meanwhile."""
        over = threading.Event()

        def cut() -> None:
            while not over.wait(dice.uniform(0.5, 1.5) * every_seconds):
                self.cut_next(dice.choice([Cut.ANSWER, Cut.ANSWER, Cut.AT_ONCE, Cut.REQUEST]))

        cutting = threading.Thread(target=cut)
        cutting.start()
        try:
            yield
        finally:
            over.set()
            cutting.join()

    def _do(self, act: Callable[[], None]) -> None:
        done: Future[None] = Future()

        def run() -> None:
            act()
            done.set_result(None)

        self._loop.call_soon_threadsafe(run)
        done.result()

    async def _end(self) -> None:
        await self._running.aclose()
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
