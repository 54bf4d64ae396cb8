"""What the log tells of instances, by the levels of host.json."""

import logging
from datetime import UTC, datetime

import pytest

from perdure.contracts.observer import ActivityEnded, EpisodeCommitted, InstanceFailed
from perdure.core import events as ev
from perdure.core.checkpoint import Checkpoint
from perdure.core.failures import FailureDetails
from perdure.core.instance import InstanceKind, Origin, Progress
from perdure.core.status import RuntimeStatus
from perdure.functions.logging_setup import category_of, log_levels
from perdure.host.durable_tracking import CATEGORY, DurableTracking

T0 = datetime(2026, 1, 1, tzinfo=UTC)
FAILURE = FailureDetails("ValueError", "a wrong order")


def tracking(level: str | None, *, shows_payloads: bool = False) -> DurableTracking:
    levels = log_levels({} if level is None else {"Host.Triggers": level})
    return DurableTracking(levels, "ShopHub", shows_payloads=shows_payloads)


def episode(*events: ev.HistoryEvent) -> EpisodeCommitted:
    origin = Origin("order-1", InstanceKind.ORCHESTRATION, "buy", "e", T0)
    return EpisodeCommitted(Checkpoint(origin, Progress(RuntimeStatus.Running, T0), -1, [], list(events)))


def test_nothing_but_failures_is_asked_for_by_default() -> None:
    assert tracking(None).wants == {InstanceFailed}
    assert tracking("Information").wants == {InstanceFailed, ActivityEnded, EpisodeCommitted}


def test_failures_are_errors(caplog: pytest.LogCaptureFixture) -> None:
    tracking(None).announce(InstanceFailed("order-1", "buy", FAILURE))
    (record,) = caplog.records
    assert (record.levelno, category_of(record)) == (logging.ERROR, CATEGORY)
    assert record.getMessage() == "Orchestration 'buy' (instance 'order-1') failed: ValueError: a wrong order"


@pytest.mark.parametrize(("shows_payloads", "shown"), [(False, "(9 bytes)"), (True, '"secret"')])
def test_steps_are_information(caplog: pytest.LogCaptureFixture, shows_payloads: bool, shown: str) -> None:
    caplog.set_level(logging.INFO)
    observer = tracking("Debug", shows_payloads=shows_payloads)
    payload = '"secret"' if shows_payloads else '"secreté'
    observer.announce(
        episode(
            ev.OrchestratorStarted(T0),
            ev.ExecutionStarted("buy", "e", payload),
            ev.TaskScheduled(0, "pay", None),
            ev.TimerCreated(1, T0),
            ev.EventRaised("Approval", "1"),
            ev.ExecutionCompleted(RuntimeStatus.Completed, "true"),
            ev.ExecutionCompleted(RuntimeStatus.Failed, failure=FAILURE),
        )
    )
    observer.announce(ActivityEnded("order-1", "pay", None))
    observer.announce(ActivityEnded("order-1", "pay", FAILURE))
    lines = [record.getMessage() for record in caplog.records]
    assert {category_of(record) for record in caplog.records} == {CATEGORY}
    assert all(line.startswith("order-1: Function '") and line.endswith("HubName: ShopHub.") for line in lines)
    for line, text in zip(
        lines,
        [
            f"'buy (Orchestrator)' started. Input: {shown}",
            "scheduled activity 'pay'. Input: (null)",
            "awaits a timer until 2026-01-01T00:00:00+00:00",
            "received the event 'Approval'. Input: ",
            "Completed. Output: ",
            "Failed. Reason: ValueError: a wrong order",
            "'pay (Activity)' Completed.",
            "'pay (Activity)' Failed: ValueError: a wrong order",
        ],
        strict=True,
    ):
        assert text in line
