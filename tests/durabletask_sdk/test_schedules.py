"""Schedules: options, the entity over time, and both clients (portable-sdk.md §7, grpc.md §12)."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from durabletask.client import OrchestrationState, OrchestrationStatus
from durabletask.entities import EntityMetadata
from durabletask.entities.definition import entity_definition
from durabletask.failures import FailureDetails
from durabletask.scheduled import (
    AsyncScheduledTaskClient,
    ScheduleCreationOptions,
    ScheduledTaskClient,
    ScheduleNotFoundError,
    ScheduleQuery,
    ScheduleStatus,
    ScheduleUpdateOptions,
    schedule_entity,
)
from durabletask.scheduled.operation import schedule_entity_id
from durabletask.scheduled.schedule_entity import Schedule
from durabletask.scheduled.state import read_span, write_span
from durabletask.serialization import DEFAULT_DATA_CONVERTER as CONVERTER
from perdure.core.identifiers import EntityId
from perdure.core.registry import Operation

T0 = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Kept:
    """One schedule's entity, its state and the run it has asked itself for, on a clock of the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = T0
        self.state: str | None = None
        self.planned: list[tuple[str, datetime | None]] = []
        self.started: list[str] = []
        monkeypatch.setattr(schedule_entity, "_now", lambda: self.now)

    def run(self, operation, input=None):
        program = entity_definition(Schedule, "schedule").open(EntityId("schedule", "s"), self.state)
        outcome = program.run(Operation(operation, CONVERTER.serialize(input), False))
        if outcome.failure is not None:
            return outcome.failure
        self.state = outcome.state
        self.planned += [(CONVERTER.deserialize(signal.input), signal.due_at) for signal in outcome.signals]
        self.started += [start.instance_id for start in outcome.starts]
        return None

    def create(self, interval=MINUTE, **more):
        assert self.run("create_schedule", ScheduleCreationOptions("s", "sweep", interval, **more)) is None

    def wake(self):
        """Give the entity the newest signal it sent itself, when it is due."""
        token, due_at = self.planned[-1]
        self.now = max(self.now, due_at or self.now)
        assert self.run("run_schedule", token) is None

    @property
    def kept(self):
        assert self.state is not None
        return json.loads(self.state)


@pytest.fixture
def schedule(monkeypatch):
    return Kept(monkeypatch)


def test_runs_keep_to_multiples_of_the_interval(schedule):
    schedule.create()
    schedule.wake()
    assert schedule.started == []
    schedule.wake()
    schedule.now += timedelta(minutes=5, seconds=7)
    schedule.run("run_schedule", schedule.planned[-1][0])

    assert schedule.started == ["s-2026-01-01T00:01:00+00:00", "s-2026-01-01T00:02:00+00:00"]
    assert schedule.planned[-1][1] == T0 + timedelta(minutes=7)
    assert schedule.kept["LastRunAt"] == "2026-01-01T00:02:00+00:00"


def test_a_late_start_runs_at_once_if_asked(schedule):
    schedule.create(
        start_at=T0 - timedelta(seconds=90), start_immediately_if_late=True, orchestration_instance_id="fix"
    )
    schedule.wake()

    assert schedule.started == ["fix"]
    assert schedule.planned[-1][1] == T0 + timedelta(seconds=30)


def test_a_start_to_come_is_waited_for(schedule):
    schedule.create(start_at=T0 + timedelta(hours=1))
    schedule.wake()

    assert schedule.planned[-1][1] == T0 + timedelta(hours=1)
    schedule.wake()
    assert schedule.started == ["s-2026-01-01T01:00:00+00:00"]


def test_after_its_end_the_schedule_is_gone(schedule):
    schedule.create(end_at=T0 + timedelta(seconds=90))
    schedule.wake()
    schedule.wake()

    assert schedule.started == ["s-2026-01-01T00:01:00+00:00"]
    assert schedule.state is None


def test_pausing_resuming_and_updating(schedule):
    schedule.create()
    assert schedule.run("pause_schedule") is None
    stale = schedule.planned[-1][0]
    assert schedule.run("run_schedule", stale) is None
    assert schedule.started == []
    assert schedule.run("pause_schedule").error_type == "ScheduleInvalidTransitionError"
    assert schedule.run("update_schedule", ScheduleUpdateOptions(interval=timedelta(hours=1))) is None
    assert (schedule.kept["Status"], schedule.kept["ScheduleConfiguration"]["Interval"]) == (2, "01:00:00")
    assert schedule.run("resume_schedule") is None
    assert schedule.run("resume_schedule").error_type == "ScheduleInvalidTransitionError"
    schedule.wake()

    assert schedule.planned[-1][1] == T0 + timedelta(hours=1)


@pytest.mark.parametrize("operation", ["pause_schedule", "resume_schedule", "update_schedule"])
def test_what_does_not_exist_cannot_be_steered(schedule, operation):
    input = ScheduleUpdateOptions() if operation == "update_schedule" else None

    assert schedule.run(operation, input).error_type == "ScheduleInvalidTransitionError"


def test_making_it_anew_refreshes_the_token(schedule):
    schedule.create()
    first = schedule.kept
    schedule.now += MINUTE
    schedule.create(interval=timedelta(hours=2))

    assert schedule.kept["ExecutionToken"] != first["ExecutionToken"]
    assert schedule.kept["ScheduleCreatedAt"] == first["ScheduleCreatedAt"]


def test_the_state_is_kept_as_other_sdks_keep_it(schedule):
    schedule.create(interval=timedelta(days=1, seconds=5.5), orchestration_input={"a": 1}, start_at=T0 + MINUTE)

    kept = schedule.kept
    assert len(kept.pop("ExecutionToken")) == 32
    assert kept == {
        "Status": 1,
        "LastRunAt": None,
        "NextRunAt": None,
        "ScheduleCreatedAt": T0.isoformat(),
        "ScheduleLastModifiedAt": T0.isoformat(),
        "ScheduleConfiguration": {
            "ScheduleId": "s",
            "OrchestrationName": "sweep",
            "Interval": "1.00:00:05.5000000",
            "OrchestrationInput": '{"a": 1}',
            "OrchestrationInstanceId": None,
            "StartAt": (T0 + MINUTE).isoformat(),
            "EndAt": None,
            "StartImmediatelyIfLate": False,
        },
    }


@pytest.mark.parametrize(
    "span", [timedelta(seconds=1), timedelta(days=3, hours=4, microseconds=7), timedelta(hours=25)]
)
def test_spans_come_back(span):
    assert read_span(write_span(span)) == span


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"schedule_id": ""}, "schedule_id"),
        ({"orchestration_name": ""}, "orchestration_name"),
        ({"interval": timedelta()}, "positive"),
        ({"interval": timedelta(seconds=0.5)}, "1 second"),
        ({"start_at": datetime(2026, 1, 2), "end_at": datetime(2026, 1, 1)}, "later"),
    ],
)
def test_schedules_that_cannot_be(wrong, reason):
    right = {"schedule_id": "s", "orchestration_name": "o", "interval": MINUTE}
    with pytest.raises(ValueError, match=reason):
        ScheduleCreationOptions(**{**right, **wrong})


class FakeHub:
    """A task hub with one schedule's entity; its operations happen at once."""

    def __init__(self, schedule: Kept) -> None:
        self.schedule = schedule

    def schedule_new_orchestration(self, orchestrator, *, input=None):
        assert orchestrator == "execute_schedule_operation_orchestrator"
        assert input.entity_id == "@schedule@s"
        self.failure = self.schedule.run(input.operation_name, input.input)
        return "operation-1"

    def wait_for_orchestration_completion(self, instance_id, *, timeout=60):
        assert (instance_id, timeout) == ("operation-1", 5)
        failure = self.failure and FailureDetails(self.failure.message, self.failure.error_type, None)
        status = OrchestrationStatus.FAILED if failure else OrchestrationStatus.COMPLETED
        return OrchestrationState("operation-1", "n", status, T0, T0, None, None, None, failure)

    def get_entity(self, entity_instance_id):
        if self.schedule.state is None:
            return None
        return EntityMetadata(entity_instance_id, T0, 0, "", True, self.schedule.state)

    def get_all_entities(self, query=None):
        assert query.instance_id_starts_with.startswith("@schedule@")
        found = self.get_entity(schedule_entity_id("s"))
        return [found] if found else []


class Awaitable:
    def __init__(self, hub):
        self._hub = hub

    def __getattr__(self, name):
        async def answer(*arguments, **named):
            return getattr(self._hub, name)(*arguments, **named)

        return answer


def test_a_client_makes_steers_and_tells(schedule):
    client = ScheduledTaskClient(FakeHub(schedule), operation_timeout=5)
    assert client.get_schedule("s") is None
    with pytest.raises(ScheduleNotFoundError):
        client.get_schedule_client("s").describe()
    made = client.create_schedule(ScheduleCreationOptions("s", "sweep", MINUTE, {"a": 1}))
    made.pause()
    with pytest.raises(RuntimeError, match="pause_schedule"):
        made.pause()

    description = made.describe()
    assert (description.schedule_id, description.status) == ("s", ScheduleStatus.PAUSED)
    assert (description.interval, description.orchestration_input) == (MINUTE, {"a": 1})
    made.resume()
    made.update(ScheduleUpdateOptions(orchestration_name="other"))
    made.delete()
    assert client.list_schedules() == []


def test_an_async_client_does_the_same(schedule):
    async def story():
        client = AsyncScheduledTaskClient(Awaitable(FakeHub(schedule)), operation_timeout=5)
        made = await client.create_schedule(ScheduleCreationOptions("s", "sweep", MINUTE))
        await made.pause()
        await made.update(ScheduleUpdateOptions(interval=MINUTE * 2))
        await made.resume()
        described = await made.describe()
        listed = await client.list_schedules(ScheduleQuery(schedule_id_prefix="s"))
        await made.delete()
        return described, listed, await client.get_schedule("s")

    described, listed, gone = asyncio.run(story())

    assert described.interval == MINUTE * 2
    assert [found.schedule_id for found in listed] == ["s"]
    assert gone is None


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (ScheduleQuery(status=ScheduleStatus.ACTIVE), 1),
        (ScheduleQuery(status=ScheduleStatus.PAUSED), 0),
        (ScheduleQuery(created_from=T0), 0),
        (ScheduleQuery(created_from=T0 - MINUTE, created_to=T0 + MINUTE), 1),
        (ScheduleQuery(created_to=T0), 0),
    ],
)
def test_queries(schedule, query, count):
    client = ScheduledTaskClient(FakeHub(schedule), operation_timeout=5)
    client.create_schedule(ScheduleCreationOptions("s", "sweep", MINUTE))

    assert len(client.list_schedules(query)) == count
