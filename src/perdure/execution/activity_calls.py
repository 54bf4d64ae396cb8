"""What an activity's code is told of its run."""

from perdure.contracts.records import PendingActivity
from perdure.core.registry import ActivityCall


def activity_call(activity: PendingActivity) -> ActivityCall:
    """One run of it."""
    return ActivityCall(
        activity.instance_id,
        activity.task_id,
        activity.name,
        activity.input,
        activity.version,
        activity.tags,
        activity.trace_context,
    )
