"""Activities of instances that have ended: those that nobody has begun need not run."""

import asyncio

from perdure.contracts.executor import Executor
from perdure.contracts.records import PendingActivity

TOGETHER_SECONDS = 0.1
"""An executor looks through all that waits, so it is told of many ends at once."""


class EndedWork:
    """Executions that ended while activities of theirs had not."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._ended: dict[str, int] = {}
        """Execution id → its last seq before its end; what the end itself has scheduled is done all the same."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, execution_id: str, last_seq: int) -> None:
        """This one has; soon its activities, up to that seq, do not wait any more."""
        self._ended[execution_id] = last_seq
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self._tell)

    def stop(self) -> None:
        """Tell no more. Twice-safe."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        self._timer = None
        ended, self._ended = self._ended, {}

        def has_ended(activity: PendingActivity) -> bool:
            return activity.seq <= ended.get(activity.execution_id, -1)

        self._executor.forget(has_ended)
