"""What a worker runs on: a stream of work items, or the engine in this process."""

from typing import Protocol

from durabletask.working.start import WorkerStart


class Runtime(Protocol):
    """Made anew for every start of a worker."""

    def begin(self, start: WorkerStart) -> None:
        """Begin to run, and return; tell ``start`` when work can come, or that it never will.

        Raises what is known to be wrong at once.
        """
        ...

    def stop(self) -> None:
        """Take no more work, finish what is in hand, and let go; blocks. Twice-safe."""
        ...
