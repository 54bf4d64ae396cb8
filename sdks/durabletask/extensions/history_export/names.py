"""Under which names a job's parts are known; those of the official package, whose workers may run the same jobs."""

ENTITY_NAME = "ExportJobEntity"
ORCHESTRATOR_NAME = "export_job_orchestrator"
LIST_ACTIVITY = "list_terminal_instances"
EXPORT_ACTIVITY = "export_instance_history"
_INSTANCE_PREFIX = "export-job-"


def orchestrator_instance_id_for(job_id: str) -> str:
    """The id of the orchestration that drives a job. Raises ValueError for an empty job id."""
    if not job_id:
        raise ValueError("job_id must not be empty.")
    return _INSTANCE_PREFIX + job_id
