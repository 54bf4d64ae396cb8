"""A worker of the engine in this process: its functions run in the engine's own threads, without a wire."""

import logging
import threading
from dataclasses import replace
from typing import Any

from durabletask.embedded import EmbeddedServing, open_hub
from durabletask.working.described_failures import Describe, DescribedFailure
from durabletask.working.functions import Definitions
from durabletask.working.options import (
    ConcurrencyOptions,
    VersionFailureStrategy,
    VersioningOptions,
    VersionMatchStrategy,
    compare_versions,
)
from durabletask.working.start import WorkerStart
from durabletask.working.user_loop import UserLoop, is_being_cancelled
from durabletask.working.watching import Watching
from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode
from perdure.core.versioning import FailureStrategy, MatchStrategy, Versioning

_MATCH = {
    VersionMatchStrategy.NONE: MatchStrategy.NONE,
    VersionMatchStrategy.STRICT: MatchStrategy.STRICT,
    VersionMatchStrategy.CURRENT_OR_OLDER: MatchStrategy.CURRENT_OR_OLDER,
}
_FAILURE = {VersionFailureStrategy.REJECT: FailureStrategy.REJECT, VersionFailureStrategy.FAIL: FailureStrategy.FAIL}


class EmbeddedRuntime:
    """Serves a hub of this process from ``begin`` to ``stop``."""

    def __init__(
        self,
        endpoint: str,
        task_hub: str,
        definitions: Definitions,
        *,
        versioning: VersioningOptions | None,
        concurrency: ConcurrencyOptions,
        user_loop: UserLoop,
        logger: logging.Logger,
        watching: "Watching | None" = None,
    ) -> None:
        self._endpoint = endpoint
        self._task_hub = task_hub
        self._definitions = definitions
        self._watching = Watching() if watching is None else watching
        self._versioning = versioning
        self._concurrency = concurrency
        self._user_loop = user_loop
        self._logger = logger
        self._serving: EmbeddedServing | None = None
        self._lock = threading.Lock()
        self._is_stopped = False

    def begin(self, start: WorkerStart) -> None:
        """Open the hub and serve it, in a thread: opening a store takes its time."""
        threading.Thread(target=self._serve, args=(start,), name="durabletask-start", daemon=True).start()

    def stop(self) -> None:
        """End this worker's part; activities in hand end first."""
        with self._lock:
            self._is_stopped = True
            serving, self._serving = self._serving, None
        if serving is not None:
            serving.stop()
        self._user_loop.stop()

    def _serve(self, start: WorkerStart) -> None:
        with self._lock:
            if self._is_stopped:
                start.stopped()
                return
            try:
                self._serving = self._served()
            except Exception as error:
                # Whoever does not wait for the start would never hear of it.
                self._logger.error("The worker cannot run: %s", error)
                start.failed(error)
                return
        start.opened()

    def _served(self) -> EmbeddedServing:
        hub = open_hub(self._endpoint, self._task_hub)
        try:
            definitions, watching = self._definitions, self._watching
            return hub.serve(
                [watching.orchestrator(orchestrator) for orchestrator in definitions.orchestrators.values()],
                [
                    watching.activity(_described(activity, definitions.describe))
                    for activity in definitions.activities.values()
                ],
                [watching.entity(entity) for entity in definitions.entities.values()],
                hub.make_options(**self._options()),
            )
        finally:
            # The serving holds it from here on.
            hub.close()

    def _options(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "activities_max": self._concurrency.maximum_concurrent_activity_work_items,
            "threads_max": self._concurrency.maximum_thread_pool_workers,
        }
        versioning = self._versioning
        if versioning is not None:
            match = VersionMatchStrategy.NONE if versioning.match_strategy is None else versioning.match_strategy
            failure = versioning.failure_strategy or VersionFailureStrategy.REJECT
            said["default_version"] = versioning.default_version
            said["versioning"] = Versioning(versioning.version, _MATCH[match], _FAILURE[failure], compare_versions)
        return said


def _described(definition: ActivityDefinition, describe: Describe) -> ActivityDefinition:
    """The activity with failures in this package's words, as they come over a wire."""

    def run(call: ActivityCall) -> Any:
        try:
            return definition.run(call)
        except BaseException as error:
            raise DescribedFailure(describe(error)) from error

    async def run_async(call: ActivityCall) -> Any:
        try:
            return await definition.run(call)
        except BaseException as error:
            if is_being_cancelled():
                raise
            raise DescribedFailure(describe(error)) from error

    return replace(definition, run=run_async if definition.mode is ActivityMode.LOOP else run)
