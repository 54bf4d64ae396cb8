"""Where a job runs: in the loop's turn, on a thread of its own; inline in simulation (architecture.md J8)."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Lane(Protocol):
    """Runs one job at a time, in the order given."""

    def run(self, job: Callable[[], T]) -> Awaitable[T]:
        """Run ``job`` and give back what it returns or raises."""
        ...

    def close(self) -> None:
        """Finish what was given and end. Twice-safe."""
        ...
