"""The entity that keeps a job: its status and its progress."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from durabletask.entities import DurableEntity
from durabletask.extensions.history_export.errors import ExportJobInvalidTransitionError
from durabletask.extensions.history_export.job_state import ExportFailure, ExportJobState, ExportJobStatus
from durabletask.extensions.history_export.names import ORCHESTRATOR_NAME, orchestrator_instance_id_for
from durabletask.extensions.history_export.options import ExportJobConfiguration
from durabletask.extensions.history_export.times import time_of

_TOLD_MAX = 10
"""So many instances are named in a job's error; all of them are in its failures."""
_ACTIVE, _COMPLETED, _FAILED = ExportJobStatus.ACTIVE, ExportJobStatus.COMPLETED, ExportJobStatus.FAILED
_MOVES: dict[str, tuple[set[ExportJobStatus | None], ExportJobStatus]] = {
    "create": ({None, _COMPLETED, _FAILED}, _ACTIVE),
    "commit_checkpoint": ({_ACTIVE}, _ACTIVE),
    "mark_completed": ({_ACTIVE}, _COMPLETED),
    "mark_failed": ({_ACTIVE, _FAILED}, _FAILED),
}
"""Operation → the statuses it is allowed in (None: there is no job), and the one it leads to."""


class ExportJobEntity(DurableEntity):
    """Operations of the job that the entity's key names. They answer with the new state, None where there is no job."""

    OP_CREATE = "create"
    OP_GET = "get"
    OP_COMMIT_CHECKPOINT = "commit_checkpoint"
    OP_MARK_COMPLETED = "mark_completed"
    OP_MARK_FAILED = "mark_failed"
    OP_DELETE = "delete"

    def create(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Begin the job, or begin one anew that has ended, and start what drives it.

        Raises ExportJobInvalidTransitionError for an active job, ValueError for a configuration that cannot be.
        """
        self._check(self.OP_CREATE, self._load())
        if not payload.get("config"):
            raise ValueError("An export job is created with a config.")
        config = ExportJobConfiguration.from_dict(payload["config"])
        job_id = self._job_id
        instance_id = orchestrator_instance_id_for(job_id)
        state = ExportJobState.new(
            config, created_at=time_of(payload.get("created_at")) or _now(), orchestrator_instance_id=instance_id
        )
        self.schedule_new_orchestration(
            ORCHESTRATOR_NAME, input={"job_id": job_id, "config": config.to_dict()}, instance_id=instance_id
        )
        return self._save(state)

    def get(self, _: Any = None) -> dict[str, Any] | None:
        """The state."""
        state = self._load()
        return None if state is None else state.to_dict()

    def commit_checkpoint(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """Note a page: ``scanned_delta``, ``exported_delta``, ``failed_delta``, ``last_instance_key``, ``failures``.

        With ``mark_failed_on_batch`` and failures, the job has failed.
        """
        state = self._load()
        if state is None:
            return None
        self._check(self.OP_COMMIT_CHECKPOINT, state)
        scanned, exported, failed = (int(payload.get(f"{name}_delta", 0)) for name in ("scanned", "exported", "failed"))
        if min(scanned, exported, failed) < 0:
            raise ValueError("The counts of a checkpoint must not be negative.")
        state.scanned_instances += scanned
        state.exported_instances += exported
        state.failed_instances += failed
        if "last_instance_key" in payload:
            state.checkpoint.last_instance_key = payload["last_instance_key"]
        state.last_checkpoint_time = time_of(payload.get("checkpoint_time")) or _now()
        failures = [ExportFailure.from_dict(failure) for failure in payload.get("failures") or ()]
        state.failures += failures
        if failures and payload.get("mark_failed_on_batch"):
            state.status = ExportJobStatus.FAILED
            state.last_error = f"Some instances could not be exported, tried again and again: {_told(failures)}"
        return self._save(state)

    def mark_completed(self, _: Any = None) -> dict[str, Any] | None:
        """The job has exported all it was to."""
        state = self._load()
        if state is None:
            return None
        self._check(self.OP_MARK_COMPLETED, state)
        state.status = ExportJobStatus.COMPLETED
        state.last_error = None
        return self._save(state)

    def mark_failed(self, payload: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The job cannot go on because of ``reason``. The first reason stays."""
        state = self._load()
        if state is None:
            return None
        self._check(self.OP_MARK_FAILED, state)
        if state.status is ExportJobStatus.FAILED:
            return state.to_dict()
        state.status = ExportJobStatus.FAILED
        state.last_error = str((payload or {}).get("reason") or "") or None
        return self._save(state)

    @property
    def _job_id(self) -> str:
        return self.entity_context.entity_id.key

    def _load(self) -> ExportJobState | None:
        kept: Any = self.get_state()
        return None if kept is None else ExportJobState.from_dict(kept)

    def _save(self, state: ExportJobState) -> dict[str, Any]:
        state.last_modified_at = _now()
        kept = state.to_dict()
        self.set_state(kept)
        return kept

    def _check(self, operation: str, state: ExportJobState | None) -> None:
        status = None if state is None else state.status
        allowed, leads_to = _MOVES[operation]
        if status not in allowed:
            raise ExportJobInvalidTransitionError(
                operation, None if status is None else status.value, leads_to.value, job_id=self._job_id
            )


def _now() -> datetime:
    return datetime.now(UTC)


def _told(failures: list[ExportFailure]) -> str:
    told = "; ".join(f"{failure.instance_id}: {failure.reason}" for failure in failures[:_TOLD_MAX])
    more = len(failures) - _TOLD_MAX
    return f"{told}; and {more} more" if more > 0 else told
