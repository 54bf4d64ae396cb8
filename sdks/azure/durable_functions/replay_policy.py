"""How one-argument orchestrators are replayed."""

from azure.durable_functions.errors import failed_call
from perdure.core.replay.policy import AllMode, ReplayPolicy, RetryIds, ScheduleAt

POLICY = ReplayPolicy(
    schedule_at=ScheduleAt.FIRST_YIELD,
    all_mode=AllMode.FAIL_FAST,
    retry_ids=RetryIds.NEW,
    first_task_id=0,
    make_error=failed_call,
)
"""Timers of any length are one timer here: the store has no longest delay, unlike that of the official host."""
