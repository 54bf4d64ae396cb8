"""The orchestration that drives a job: page by page, until the window is empty or the job is gone."""

from collections.abc import Generator, Mapping
from datetime import timedelta
from typing import Any

from durabletask import task
from durabletask.entities import EntityInstanceId
from durabletask.extensions.history_export.job_entity import ExportJobEntity
from durabletask.extensions.history_export.job_state import ExportJobStatus
from durabletask.extensions.history_export.names import ENTITY_NAME, EXPORT_ACTIVITY, LIST_ACTIVITY
from durabletask.extensions.history_export.options import ExportJobConfiguration, ExportMode
from durabletask.extensions.history_export.times import text_of

PAGES_PER_EXECUTION = 5
"""Then it continues as new: its own history stays short."""
PAGE_TRIES = 3
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=5)
IDLE_PAUSE = timedelta(minutes=1)
"""How long a continuous job waits when it has come to the end."""
RETRIES = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=15),
    max_number_of_attempts=3,
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(minutes=1),
)
"""Of activities that end with an error of ours or the hub's; an instance that cannot be exported is no such error."""

Steps = Generator[Any, Any, Any]


def export_job_orchestrator(ctx: task.OrchestrationContext, input: Mapping[str, Any]) -> Steps:
    """Drive the job ``job_id`` by its ``config``; the rest is what an execution leaves to the next."""
    job = EntityInstanceId(ENTITY_NAME, str(input["job_id"]))
    try:
        return (yield from _run(ctx, job, input))
    except Exception as error:
        # Not waited for: the entity itself may be what fails.
        ctx.signal_entity(job, ExportJobEntity.OP_MARK_FAILED, {"reason": f"{type(error).__name__}: {error}"})
        raise


def _run(ctx: task.OrchestrationContext, job: EntityInstanceId, input: Mapping[str, Any]) -> Steps:
    config = ExportJobConfiguration.from_dict(input["config"])
    token: str | None = (input.get("checkpoint") or {}).get("last_instance_key")
    done = set(input.get("done") or ())
    totals = {"scanned": 0, "exported": 0, "failed": 0, **(input.get("totals") or {})}
    for _ in range(PAGES_PER_EXECUTION):
        state = yield ctx.call_entity(job, ExportJobEntity.OP_GET)
        status = "Cancelled" if state is None else state["status"]
        if status != ExportJobStatus.ACTIVE.value:
            return _summary(job, status, totals)
        page = yield ctx.call_activity(LIST_ACTIVITY, input=_list_input(config, token), retry_policy=RETRIES)
        listed = [str(instance_id) for instance_id in page.get("instance_ids") or ()]
        # The last page of a continuous job is listed again and again, with what has come since.
        instance_ids = [instance_id for instance_id in listed if instance_id not in done]
        failed = yield from _export_page(ctx, config, instance_ids)
        totals["scanned"] += len(instance_ids)
        totals["exported"] += len(instance_ids) - len(failed)
        totals["failed"] += len(failed)
        following = page.get("continuation_token") if listed else None
        token = following or token
        done = set() if following else set(listed)
        if instance_ids or config.mode is ExportMode.BATCH:
            yield ctx.call_entity(job, ExportJobEntity.OP_COMMIT_CHECKPOINT, _checkpoint(instance_ids, failed, token))
        if failed:
            return _summary(job, ExportJobStatus.FAILED.value, totals)
        if following:
            continue
        if config.mode is ExportMode.BATCH:
            yield ctx.call_entity(job, ExportJobEntity.OP_MARK_COMPLETED)
            return _summary(job, ExportJobStatus.COMPLETED.value, totals)
        yield ctx.create_timer(IDLE_PAUSE)
    ctx.continue_as_new(
        {
            "job_id": input["job_id"],
            "config": input["config"],
            "checkpoint": {"last_instance_key": token},
            "totals": totals,
            "done": sorted(done),
        }
    )
    return None


def _export_page(ctx: task.OrchestrationContext, config: ExportJobConfiguration, instance_ids: list[str]) -> Steps:
    """Export them, those that fail a few times; gives the failures that are left."""
    left = instance_ids
    failed: list[dict[str, Any]] = []
    for n in range(1, PAGE_TRIES + 1):
        results: list[dict[str, Any]] = []
        for start in range(0, len(left), config.max_parallel_exports):
            some = left[start : start + config.max_parallel_exports]
            results += yield task.when_all([_export(ctx, config, instance_id) for instance_id in some])
        failed = [
            {
                "instance_id": result["instance_id"],
                "reason": result.get("error") or "unknown",
                "attempt_count": n,
                "last_attempt": text_of(ctx.current_utc_datetime),
            }
            for result in results
            if not result.get("success")
        ]
        if not failed or n == PAGE_TRIES:
            break
        left = [failure["instance_id"] for failure in failed]
        yield ctx.create_timer(min(FIRST_PAUSE * 2 ** (n - 1), LONGEST_PAUSE))
    return failed


def _export(ctx: task.OrchestrationContext, config: ExportJobConfiguration, instance_id: str) -> Any:
    given = {
        "instance_id": instance_id,
        "format": config.format.to_dict(),
        "destination": config.destination.to_dict(),
    }
    return ctx.call_activity(EXPORT_ACTIVITY, input=given, retry_policy=RETRIES)


def _list_input(config: ExportJobConfiguration, token: str | None) -> dict[str, Any]:
    return {
        "runtime_status": [status.name for status in config.filter.effective_runtime_status()],
        "completed_time_from": text_of(config.filter.completed_time_from),
        "completed_time_to": text_of(config.filter.completed_time_to),
        "page_size": config.max_instances_per_batch,
        "continuation_token": token,
    }


def _checkpoint(instance_ids: list[str], failed: list[dict[str, Any]], token: str | None) -> dict[str, Any]:
    return {
        "scanned_delta": len(instance_ids),
        "exported_delta": len(instance_ids) - len(failed),
        "failed_delta": len(failed),
        "last_instance_key": token,
        "failures": failed,
        "mark_failed_on_batch": bool(failed),
    }


def _summary(job: EntityInstanceId, status: str, totals: dict[str, int]) -> dict[str, Any]:
    return {"job_id": job.key, "status": status, "totals": totals}
