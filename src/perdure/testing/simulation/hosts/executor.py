"""The innermost that a host's sharing of work sees: what comes into the executor, begins, leaves and ends."""

from collections.abc import Callable

from perdure.contracts.executor import Executor
from perdure.contracts.records import PendingActivity
from perdure.testing.simulation.audited_parts import AuditedExecutor
from perdure.testing.simulation.hosts.audit import HostView


class HostExecutor(AuditedExecutor):
    """``AuditedExecutor`` of one host; also tells what leaves before it has begun."""

    def __init__(self, executor: Executor, view: HostView) -> None:
        super().__init__(executor, view)
        self._inner = executor
        self._view = view
        view.executor_begins()

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        gone: list[PendingActivity] = []

        def is_noted(activity: PendingActivity) -> bool:
            if not is_gone(activity):
                return False
            gone.append(activity)
            return True

        self._inner.forget(is_noted)
        self._view.activities_left(gone)

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        taken = self._inner.take_back(is_wanted)
        self._view.activities_left(taken)
        return taken
