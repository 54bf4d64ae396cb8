"""How one-argument orchestrators are replayed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from azure.durable_functions.failed_calls import FailedCalls
from perdure.core.replay.policy import AllMode, ReplayPolicy, RetryIds, ScheduleAt

POLICY = ReplayPolicy(
    schedule_at=ScheduleAt.FIRST_YIELD,
    all_mode=AllMode.FAIL_FAST,
    retry_ids=RetryIds.NEW,
    first_task_id=0,
    make_error=FailedCalls({}),
)
"""Timers of any length are one timer here: the store has no longest delay, unlike that of the official host."""


def policy_of(function: Callable[..., Any]) -> ReplayPolicy:
    """The policy of one orchestrator: its failed calls raise exceptions that its code can name."""
    return replace(POLICY, make_error=FailedCalls(getattr(function, "__globals__", {})))
