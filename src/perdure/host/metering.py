"""What a hub that runs here says of itself in figures. Nothing is counted before somebody asks for the first time."""

from collections.abc import Callable

from perdure.contracts.work_load import WorkLoad
from perdure.engine.worker import TaskHubWorker
from perdure.execution.remote import RemoteExecutor
from perdure.telemetry.metrics import HubFigures, WorkCounts


class HubMeter:
    """``loads_here``: the work of this process's own functions; ``remote``: that of workers of other processes."""

    def __init__(
        self,
        task_hub: str,
        worker: TaskHubWorker,
        remote: RemoteExecutor | None,
        loads_here: Callable[[], list[WorkLoad]] = list,
    ) -> None:
        self.task_hub = task_hub
        self._worker = worker
        self._remote = remote
        self._loads_here = loads_here
        self._counts: WorkCounts | None = None

    def figures(self) -> HubFigures:
        """Those of this moment."""
        if self._counts is None:
            self._counts = WorkCounts()
            self._worker.observe(self._counts)
        remote = self._remote
        return HubFigures(
            self.task_hub,
            self._loads(),
            self._worker.live_count(),
            self._counts,
            None if remote is None else len({terms.worker for terms in remote.connected()}),
        )

    def _loads(self) -> list[WorkLoad]:
        found = {(load.kind, load.name): load for load in self._loads_here()}
        if self._remote is not None:
            # No name is both: what is here is never given to others.
            found.update(((load.kind, load.name), load) for load in self._remote.work_loads())
        return list(found.values())
