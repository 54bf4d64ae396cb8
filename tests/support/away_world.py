"""A hub whose functions run at workers that a test steers, on virtual time."""

from typing import Any

from perdure.contracts.executor import Executor, Turn
from perdure.testing.away_executor import AwayExecutor
from perdure.testing.in_process_hub import InProcessHub
from perdure.testing.simulated_loop import SimulatedClock
from support.small_hub import Functions, WatchedStorage, small_hub


class SteeredWork:
    """How the workers behave; a test changes it as it goes."""

    def __init__(self) -> None:
        self.wait_seconds = 0.0
        self.work_seconds = 0.0
        self.losses = 0
        """So many results to come are lost, and the work done again."""
        self.taken_max = 1_000_000

    def waits(self) -> float:
        return self.wait_seconds

    def works(self) -> float:
        return self.work_seconds

    def vanishes(self) -> bool:
        self.losses -= 1
        return self.losses >= 0

    def takes(self, turn: Turn, count: int) -> int:
        return min(count, self.taken_max)

    def tells(self, awaited: tuple[str, ...]) -> tuple[str, ...]:
        return ()


class AwayHub:
    """``hub``, its watched ``storage``, its workers' ``work`` and the ``executor`` that gives it to them."""

    def __init__(self, functions: Functions, clock: SimulatedClock, **parts: Any) -> None:
        self.work = SteeredWork()
        self.executors: list[AwayExecutor] = []
        self.hub: InProcessHub
        self.storage: WatchedStorage
        self.hub, self.storage = small_hub(functions, clock, wrap_executor=self._wrap, **parts)

    @property
    def executor(self) -> AwayExecutor:
        """Of the process that runs now."""
        return self.executors[-1]

    def _wrap(self, executor: Executor) -> Executor:
        self.executors.append(AwayExecutor(executor, self.work))
        return self.executors[-1]


NEVER = 1e9
"""Seconds that no test waits."""
