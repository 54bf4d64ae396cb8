"""What the clients of jobs have in common: requests as they are sent, answers as they are read."""

import logging
import uuid
from datetime import UTC, datetime
from typing import Any

from durabletask.entities import EntityInstanceId, EntityMetadata
from durabletask.extensions.history_export.errors import ExportJobNotFoundError
from durabletask.extensions.history_export.job_state import ExportJobDescription, ExportJobState, ExportJobStatus
from durabletask.extensions.history_export.names import ENTITY_NAME, orchestrator_instance_id_for
from durabletask.extensions.history_export.options import ExportJobCreationOptions, ExportJobQuery
from durabletask.states import EntityQuery

logger = logging.getLogger("durabletask-history-export")

WAIT_SECONDS = 300.0
POLL_SECONDS = 1.0
END_SECONDS_MAX = 30.0
"""How long a deletion waits for the job's orchestration to end."""


def entity_of(job_id: str) -> EntityInstanceId:
    """The job's entity."""
    return EntityInstanceId(ENTITY_NAME, job_id)


def creation(options: ExportJobCreationOptions, job_id: str | None) -> tuple[ExportJobDescription, dict[str, Any]]:
    """A new job as it is described, and what its entity is told. Raises ValueError for options that cannot be."""
    config = options.to_configuration()
    job_id = job_id or uuid.uuid4().hex
    now = datetime.now(UTC)
    state = ExportJobState.new(config, created_at=now, orchestrator_instance_id=orchestrator_instance_id_for(job_id))
    description = ExportJobDescription.from_state(job_id, state)
    return description, {"config": config.to_dict(), "created_at": now.isoformat()}


def described(entity: EntityMetadata | None) -> ExportJobDescription | None:
    """The job of an entity; None when it has none. Raises ValueError for a state that cannot be read."""
    state = None if entity is None else entity.get_typed_state()
    if entity is None or not isinstance(state, dict):
        return None
    return ExportJobDescription.from_state_dict(entity.id.key, state)


def entity_query(query: ExportJobQuery) -> EntityQuery:
    """The query for the jobs' entities."""
    return EntityQuery(
        instance_id_starts_with=f"@{ENTITY_NAME.lower()}@",
        last_modified_from=query.last_modified_from,
        last_modified_to=query.last_modified_to,
        include_state=True,
        page_size=query.page_size,
    )


def matching(entities: list[EntityMetadata], query: ExportJobQuery) -> list[ExportJobDescription]:
    """The jobs among entities. One that cannot be read is logged and left out."""
    found: list[ExportJobDescription] = []
    for entity in entities:
        try:
            job = described(entity)
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("The export job '%s' is left out: %s", entity.id.key, error)
            continue
        if job is not None and (not query.status or job.status in query.status):
            found.append(job)
    return found


def is_over(job: ExportJobDescription | None) -> bool:
    """Whether the job has ended."""
    return job is not None and job.status is not ExportJobStatus.ACTIVE


def check_wait(timeout: float, poll_interval: float) -> None:
    """Raise ValueError for times that cannot be waited."""
    if timeout <= 0 or poll_interval <= 0:
        raise ValueError("timeout and poll_interval must be positive.")


def timed_out(job_id: str, job: ExportJobDescription | None, timeout: float) -> Exception:
    """The error of a wait that came to no end."""
    if job is None:
        return ExportJobNotFoundError(job_id)
    return TimeoutError(
        f"The export job '{job_id}' has not ended in the {timeout:g} s given; it is {job.status.value}."
    )


def is_missing(error: Exception) -> bool:
    """Whether a call was refused because there is no such instance."""
    code: Any = getattr(error, "code", None)
    said: Any = code() if callable(code) else None
    return getattr(said, "name", said) == "NOT_FOUND"
