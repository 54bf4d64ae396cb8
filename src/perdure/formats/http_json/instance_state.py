"""All that is kept of an instance, in the words of `func durable get-runtime-status` (cli.md §2.2)."""

from typing import Any

from perdure.core.instance import InstanceRecord
from perdure.formats.http_json.history import failure_row
from perdure.formats.http_json.times import microseconds


def state_body(record: InstanceRecord) -> dict[str, Any]:
    """The whole record. Payloads are JSON texts in strings, the status is a name."""
    origin, progress = record.origin, record.progress
    parent = origin.parent
    return {
        "Name": origin.name,
        "Version": origin.version,
        "OrchestrationInstance": {"InstanceId": origin.instance_id, "ExecutionId": origin.execution_id},
        "ParentInstance": None
        if parent is None
        else {
            "Name": parent.name,
            "OrchestrationInstance": {"InstanceId": parent.instance_id, "ExecutionId": parent.execution_id},
            "TaskScheduleId": parent.task_id,
        },
        "OrchestrationStatus": progress.status.name,
        "CreatedTime": microseconds(origin.created_at),
        "LastUpdatedTime": microseconds(progress.updated_at),
        "CompletedTime": None if progress.completed_at is None else microseconds(progress.completed_at),
        "ScheduledStartTime": None if origin.scheduled_start_at is None else microseconds(origin.scheduled_start_at),
        "Input": origin.input,
        "Output": progress.output,
        "Status": progress.custom_status,
        "FailureDetails": failure_row(progress.failure),
        "Tags": origin.tags,
        "Generation": origin.generation,
    }
