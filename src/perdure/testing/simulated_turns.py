"""The lane of turns on virtual time: a turn runs in the loop's own turn, after as long as it is said to take."""

import asyncio
import math
from collections.abc import Callable, Sequence

from perdure.contracts.executor import Turn
from perdure.execution.turns import RunTurn, TurnLane

PATIENCE_SECONDS = 0.02


class SimulatedTurns:
    """Promises what ``TurnLane`` does; turns that take longer than the patience are late.

    Those that take ``overrun`` seconds or longer are given up then, and their code is never run.
    """

    def __init__(self, run_turn: RunTurn, seconds: Callable[[Turn], float], overrun: float) -> None:
        self._run_turn = run_turn
        self._seconds = seconds
        self._overrun = overrun
        self._late: list[Turn] = []
        self._waiter: asyncio.Future[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        """Turns that are still running never return."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    async def run(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Run a batch."""
        late: list[Turn] = []
        spent = 0.0
        for turn in turns:
            seconds = self._seconds(turn)
            if seconds > PATIENCE_SECONDS:
                late.append(turn)
                self._run_later(turn, seconds)
            else:
                spent = max(spent, seconds)
                self._run_turn(turn)
        if spent or late:
            await asyncio.sleep(PATIENCE_SECONDS if late else spent)
        return late

    def let_go(self, turn: Turn) -> None:
        """Run it at once."""
        self._run_turn(turn)

    def turn_here(self) -> Turn | None:
        """None: no thread is a turn's own."""
        return None

    async def late_turns(self) -> list[Turn]:
        """Late turns that have returned."""
        while not self._late:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        late, self._late = self._late, []
        return late

    def _run_later(self, turn: Turn, seconds: float) -> None:
        timer: asyncio.TimerHandle

        def end() -> None:
            self._timers.discard(timer)
            if seconds < self._overrun:
                self._run_turn(turn)
            else:
                turn.is_given_up = True
            self._late.append(turn)
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

        timer = asyncio.get_running_loop().call_later(min(seconds, self._overrun), end)
        self._timers.add(timer)


def simulated_turns(seconds: Callable[[Turn], float], overrun: float = math.inf) -> Callable[[RunTurn], TurnLane]:
    """A turn lane for ``LocalExecutor``; ``seconds`` tells how long a turn takes, ``overrun`` how long one may."""
    return lambda run_turn: SimulatedTurns(run_turn, seconds, overrun)
