"""The share of a hub among others: who waits, in which order, and when nobody need."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from perdure.grpc_api.hub_shares import LOOK_SECONDS, UNDER_WAY_MAX, UNDER_WAY_MIN, WAITING_MAX, HubShares, Line
from perdure.grpc_api.statuses import Code, Refused
from support.remote_stage import on_virtual_time, settle_down


def on_loop(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(limited())


class Requests:
    """Requests in one line that last until they are told to end."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.begun: list[int] = []
        self.ends: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    def ask(self, count: int = 1) -> None:
        for _ in range(count):
            self.ends.append(asyncio.Event())
            self.tasks.append(asyncio.ensure_future(self._one(len(self.tasks))))

    async def _one(self, number: int) -> None:
        async with self.line:
            self.begun.append(number)
            await self.ends[number].wait()

    async def end_all(self) -> None:
        for end in self.ends:
            end.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def test_beyond_the_limit_the_first_come_is_the_first_served() -> None:
    async def scenario() -> None:
        shares = HubShares()
        shares.limit = 2
        flooded, other = Requests(shares.asking("flooded")), Requests(shares.asking("other"))
        answers = Requests(shares.answering("flooded"))
        flooded.ask(4)
        await settle_down()
        other.ask()
        answers.ask()
        await settle_down()
        assert (flooded.begun, other.begun, answers.begun) == ([0, 1], [0], [0])
        flooded.ends[1].set()
        await settle_down()
        flooded.ask()
        await settle_down()
        assert flooded.begun == [0, 1, 2]
        for requests in (flooded, other, answers):
            await requests.end_all()
        assert flooded.begun == [0, 1, 2, 3, 4]

    on_loop(scenario)


def test_who_goes_away_while_waiting_takes_nobodys_place() -> None:
    async def scenario() -> None:
        shares = HubShares()
        shares.limit = 1
        requests = Requests(shares.asking("hub"))
        requests.ask(4)
        await settle_down()
        requests.tasks[1].cancel()
        # Its turn comes in the moment in which it goes.
        requests.ends[0].set()
        await asyncio.sleep(0)
        requests.tasks[2].cancel()
        await settle_down()
        assert requests.begun[0] == 0
        assert requests.begun[-1] == 3
        await requests.end_all()
        assert requests.line.under_way == 0

    on_loop(scenario)


def test_a_line_that_is_too_long_refuses() -> None:
    async def scenario() -> None:
        shares = HubShares()
        shares.limit = 1
        requests = Requests(shares.asking("hub"))
        requests.ask(1 + WAITING_MAX)
        await settle_down()
        with pytest.raises(Refused, match="10,000 requests to the task hub 'hub' are waiting") as refused:
            await requests.line.__aenter__()
        assert refused.value.code is Code.RESOURCE_EXHAUSTED
        for task in requests.tasks:
            task.cancel()
        await asyncio.gather(*requests.tasks, return_exceptions=True)

    on_loop(scenario)


def test_hubs_that_keep_the_loop_from_others_get_less_and_more_again_when_they_do_not() -> None:
    async def scenario() -> None:
        shares = HubShares()
        flooded, other = Requests(shares.asking("flooded")), Requests(shares.asking("other"))
        flooded.ask(40)
        await settle_down()
        other.ask()
        await settle_down()
        # The loop is late when it looks.
        time.sleep(LOOK_SECONDS * 2)  # noqa: ASYNC251 - a loop that is kept busy is what is tried
        await asyncio.sleep(0)
        await settle_down()
        assert UNDER_WAY_MIN <= shares.limit <= 20
        flooded.ask()
        await settle_down()
        assert len(flooded.begun) == 40
        await flooded.end_all()
        assert len(flooded.begun) == 41
        await other.end_all()

    on_loop(scenario)


def test_a_hub_that_is_alone_is_not_held_back() -> None:
    async def scenario() -> None:
        shares = HubShares()
        requests = Requests(shares.asking("only"))
        requests.ask(UNDER_WAY_MAX)
        await settle_down()
        await asyncio.sleep(10)
        assert len(requests.begun) == UNDER_WAY_MAX
        assert shares.limit == UNDER_WAY_MAX
        await requests.end_all()

    on_virtual_time(scenario)


def test_without_delay_the_limit_rises_and_ends_with_the_others() -> None:
    async def scenario() -> None:
        shares = HubShares()
        shares.limit = UNDER_WAY_MIN
        for hub in ("one", "other"):
            async with shares.asking(hub):
                pass
        await asyncio.sleep(LOOK_SECONDS * 5.5)
        assert shares.limit == UNDER_WAY_MIN + 5
        await asyncio.sleep(2)
        assert shares.limit == UNDER_WAY_MAX

    on_virtual_time(scenario)
