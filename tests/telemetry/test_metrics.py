"""Figures as text for Prometheus and as sums for scalers."""

from datetime import UTC, datetime

import pytest

from perdure.contracts.executor import ServedKind
from perdure.contracts.observer import ActivityEnded, EpisodeCommitted
from perdure.contracts.work_load import WorkLoad
from perdure.core.checkpoint import Checkpoint
from perdure.core.failures import FailureDetails
from perdure.core.instance import InstanceKind, Origin, Progress
from perdure.core.status import RuntimeStatus
from perdure.telemetry import metrics
from perdure.telemetry.metrics import HubFigures, Load, WorkCounts, load_of, metrics_text

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LOADS = [
    WorkLoad(ServedKind.ORCHESTRATOR, "order", 3, 1, 12.3456),
    WorkLoad(ServedKind.ACTIVITY, "charge", 5, 2, 7.9),
    WorkLoad(ServedKind.ACTIVITY, "ship", 4, 0, None),
    WorkLoad(ServedKind.ENTITY, "counter", 0, 1, 0.0),
]


def committed(name: str, status: RuntimeStatus, last_seq: int, kind: InstanceKind = InstanceKind.ORCHESTRATION):
    origin = Origin("x", kind, name, "e", T0)
    return EpisodeCommitted(Checkpoint(origin, Progress(status, T0), last_seq, [], []))


def test_every_figure_is_on_the_page():
    counts = WorkCounts()
    counts.announce(committed("order", RuntimeStatus.Running, -1))
    counts.announce(committed("order", RuntimeStatus.Completed, 3))
    counts.announce(committed("order", RuntimeStatus.Failed, -1))
    counts.announce(committed("counter", RuntimeStatus.Running, -1, InstanceKind.ENTITY))
    counts.announce(ActivityEnded("x", "charge", None))
    counts.announce(ActivityEnded("x", "charge", FailureDetails("E", "no")))
    page = metrics_text([HubFigures("default", LOADS, 7, counts, 2), HubFigures("b", [], 0, WorkCounts())], "1.0")

    lines = page.decode().splitlines()
    assert page.endswith(b"\n")
    assert [line for line in lines if not line.startswith("#")] == [
        'perdure_work_items_pending{task_hub="default",kind="orchestration",name="order"} 3',
        'perdure_work_items_pending{task_hub="default",kind="activity",name="charge"} 5',
        'perdure_work_items_pending{task_hub="default",kind="activity",name="ship"} 4',
        'perdure_work_items_pending{task_hub="default",kind="entity",name="counter"} 0',
        'perdure_work_items_active{task_hub="default",kind="orchestration",name="order"} 1',
        'perdure_work_items_active{task_hub="default",kind="activity",name="charge"} 2',
        'perdure_work_items_active{task_hub="default",kind="activity",name="ship"} 0',
        'perdure_work_items_active{task_hub="default",kind="entity",name="counter"} 1',
        'perdure_work_items_oldest_age_seconds{task_hub="default",kind="orchestration",name="order"} 12.346',
        'perdure_work_items_oldest_age_seconds{task_hub="default",kind="activity",name="charge"} 7.9',
        'perdure_work_items_oldest_age_seconds{task_hub="default",kind="entity",name="counter"} 0.0',
        'perdure_connected_workers{task_hub="default"} 2',
        'perdure_live_instances{task_hub="default"} 7',
        'perdure_live_instances{task_hub="b"} 0',
        'perdure_episodes_committed_total{task_hub="default",kind="entity"} 1',
        'perdure_episodes_committed_total{task_hub="default",kind="orchestration"} 3',
        'perdure_orchestrations_started_total{task_hub="default",name="order"} 2',
        'perdure_orchestrations_ended_total{task_hub="default",name="order",status="Completed"} 1',
        'perdure_orchestrations_ended_total{task_hub="default",name="order",status="Failed"} 1',
        'perdure_activities_ended_total{task_hub="default",name="charge",outcome="completed"} 1',
        'perdure_activities_ended_total{task_hub="default",name="charge",outcome="failed"} 1',
        'perdure_info{version="1.0"} 1',
    ]
    described = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert described == {line.split()[2] for line in lines if line.startswith("# HELP")}
    assert len(described) == 10


def test_a_name_cannot_break_out_of_its_line():
    loads = [WorkLoad(ServedKind.ACTIVITY, 'a"} 1\nperdure_x{b="\\\ud800')]
    page = metrics_text([HubFigures("default", loads, 0, WorkCounts())], "1.0").decode()
    [line] = [line for line in page.split("\n") if line.startswith("perdure_work_items_pending")]
    assert line == r'perdure_work_items_pending{task_hub="default",kind="activity",name="a\"} 1\nperdure_x{b=\"\\?"} 0'


def test_only_so_many_names_are_counted_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metrics, "NAMES_MAX", 3)
    counts = WorkCounts()
    for number in range(10):
        counts.announce(committed(f"n{number}", RuntimeStatus.Completed, -1))
        counts.announce(ActivityEnded("x", f"n{number}", None))
    assert counts.started == {"n0": 1, "n1": 1, "n2": 1, "": 7}
    assert counts.ended[("", "Completed")] == counts.activities[("", "completed")] == 7


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (None, None, Load(12, 4, 16, 12)),
        (ServedKind.ACTIVITY, None, Load(9, 2, 11, 7)),
        (ServedKind.ACTIVITY, "charge", Load(5, 2, 7, 7)),
        (ServedKind.ACTIVITY, "ship", Load(4, 0, 4, None)),
        (ServedKind.ACTIVITY, "Charge", Load(0, 0, 0, 0)),
        (ServedKind.ENTITY, "Counter", Load(0, 1, 1, 0)),
        (None, "order", Load(3, 1, 4, 12)),
    ],
)
def test_sums(kind: ServedKind | None, name: str | None, expected: Load):
    assert load_of(LOADS, kind, name) == expected
