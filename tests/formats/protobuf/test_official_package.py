"""The official package reads what we write, and its worker's code is driven by it from turn to turn."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from perdure.contracts.records import PendingActivity
from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.registry import Operation
from perdure.core.status import RuntimeStatus
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.actions import read_turn
from perdure.formats.protobuf.entities import entity_item
from perdure.formats.protobuf.events import HistoryWriter, joined
from perdure.formats.protobuf.events_read import read_history
from perdure.formats.protobuf.instances import write_state
from perdure.formats.protobuf.work_items import activity_item, orchestrator_item, stripped
from support.pip_environment import pip
from support.replay_world import EXECUTION, T0, World

OFFICIAL = ("durabletask==1.9.0", "durabletask")
"""What its users have, and what an index gives today."""
PROGRAM = Path(__file__).with_name("official_worker.py")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 a=1"

pytestmark = pytest.mark.slow


class Official:
    """A process under the official package."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, data: bytes, **more: str) -> Any:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"data": base64.b64encode(data).decode(), **more}) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "the official package's process ended"
        return json.loads(answer)

    def decide(self, item: bytes) -> ac.TurnResult:
        return read_turn(pb.OrchestratorResponse.FromString(base64.b64decode(self.ask(item))))


@pytest.fixture(scope="module", params=OFFICIAL)
def official(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Official]:
    folder = tmp_path_factory.mktemp("official")
    pip("install", "--quiet", "--no-compile", "--only-binary", ":all:", "--target", folder, request.param)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-S", PROGRAM],
        env=kept | {"PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Official(process)
        assert process.stdin is not None
        process.stdin.close()


class Driven:
    """An execution of the official package's code over a history of ours."""

    def __init__(self, official: Official, name: str, input: str | None) -> None:
        self._official = official
        self._writer = HistoryWriter("order-1", EXECUTION)
        self._past = b""
        self.world = World(lambda recorder: None)
        self.turn(ev.ExecutionStarted(name, EXECUTION, input))

    def turn(self, *events: ev.HistoryEvent) -> ac.TurnResult:
        """One turn of these events, with the past without unread inputs, as a long one would be sent."""
        episode = [ev.OrchestratorStarted(self.world.now), *events]
        frames = self._writer.frames(episode)
        result = self._official.decide(
            orchestrator_item(
                instance_id="order-1", execution_id=EXECUTION, past=stripped(self._past), new=frames, token="t-1"
            )
        )
        done = len(self.world.history) + len(episode)
        self.world.record(episode, result)
        self._past += self._writer.settle(frames, self.world.history[done:])
        return result

    def answer(self, result: str | None = None) -> ac.TurnResult:
        """A turn in which the only open thing ends well."""
        (open_event,) = self.world.open.values()
        completion = self.world.completion(open_event.task_id, result)
        if isinstance(completion, ev.TimerFired):
            self.world.now = completion.fire_at
        return self.turn(completion)

    def fail(self, message: str) -> ac.TurnResult:
        """A turn in which the only open thing fails."""
        (open_event,) = self.world.open.values()
        return self.turn(self.world.failure(open_event.task_id, message))


def test_its_worker_is_driven_through_everything_it_can_ask_for(official: Official) -> None:
    driven = Driven(official, "everything", None)
    assert driven.world.last.custom_status == ac.NewStatus('"begun"')
    assert driven.world.last.actions == (ac.ScheduleActivity(1, "step", "1", tags={"t": "u"}),)
    assert driven.answer("10").actions == (ac.ScheduleActivity(2, "flaky", "2"),)
    (retry_timer,) = driven.fail("not yet").actions
    assert isinstance(retry_timer, ac.CreateTimer)
    assert driven.answer().actions == (ac.ScheduleActivity(2, "flaky", "2"),)
    (timer,) = driven.answer("20").actions
    assert isinstance(timer, ac.CreateTimer)
    assert timer.fire_at == driven.world.now + timedelta(minutes=1)
    (child,) = driven.answer().actions
    assert isinstance(child, ac.StartChild)
    assert (child.name, child.instance_id, child.input) == ("leg", f"order-1:{child.task_id:04x}", "3")
    assert driven.answer("30").actions == ()
    assert driven.turn(ev.ExecutionSuspended("wait"), ev.EventRaised("gO", "40")).actions == ()
    signal, call = driven.turn(ev.ExecutionResumed("go on")).actions
    assert isinstance(signal, ac.SignalEntity)
    assert isinstance(call, ac.CallEntity)
    assert (signal.entity_id, signal.operation, signal.input) == ("@counter@a", "add", "4")
    assert (call.entity_id, call.operation, call.input) == ("@counter@a", "get", None)
    assert call.request_id
    (lock,) = driven.answer("4").actions
    assert isinstance(lock, ac.LockEntities)
    assert lock.entity_ids == ("@counter@a", "@counter@b")
    (inside,) = driven.answer().actions
    assert isinstance(inside, ac.CallEntity)
    *unlocks, last = driven.answer("9").actions
    assert {action.entity_id for action in unlocks if isinstance(action, ac.UnlockEntity)} == {*lock.entity_ids}
    assert isinstance(last, ac.ScheduleActivity)
    ending = driven.fail("it broke").ending
    assert isinstance(ending, ac.Complete)
    assert ending.output is not None
    *values, failed = json.loads(ending.output)
    assert values == [10, 20, 30, 40, 4, 9]
    assert "it broke" in failed


def test_it_begins_anew_with_what_it_has_not_taken(official: Official) -> None:
    driven = Driven(official, "again", "1")
    assert driven.turn(ev.EventRaised("Go", "5")).ending is None
    ending = driven.answer("0").ending
    assert isinstance(ending, ac.ContinueAsNew)
    assert ending.input == "2"
    # The official package carries event names in lower case.
    assert [(carried.name.lower(), carried.input) for carried in ending.carried] == [("go", "5")]


def test_what_it_does_not_know_is_a_failure_of_the_orchestration(official: Official) -> None:
    driven = Driven(official, "nobody", None)
    assert isinstance(driven.world.last.ending, ac.Fail)
    assert "nobody" in driven.world.last.ending.failure.message


def test_the_history_of_its_server_is_read(official: Official) -> None:
    chunk = pb.HistoryChunk.FromString(base64.b64decode(official.ask(b"", history="yes")))
    history, new = read_history(chunk.events, ())
    assert new == []
    assert isinstance(history[0], ev.OrchestratorStarted)
    started = next(event for event in history if isinstance(event, ev.ExecutionStarted))
    assert started.name == "journey"
    assert isinstance(history[-1], ev.ExecutionCompleted)
    answers: dict[type, set[type]] = {}
    answered: list[int] = []
    for event in history:
        if (seq := getattr(event, "scheduled_seq", None)) is not None:
            asked: Any = history[seq]
            assert asked.task_id == getattr(event, "task_id", None)
            answers.setdefault(type(asked), set()).add(type(event))
            answered.append(seq)
    assert len(set(answered)) == len(answered)
    assert answers == {
        ev.TaskScheduled: {ev.TaskCompleted, ev.TaskFailed},
        ev.TimerCreated: {ev.TimerFired},
        ev.SubOrchestrationCreated: {ev.SubOrchestrationCompleted},
        ev.EntityCalled: {ev.EntityOperationCompleted},
        ev.EntityLockRequested: {ev.EntityLockGranted},
    }
    (flaky, again) = (event for event in history if isinstance(event, ev.TaskScheduled) and event.name == "flaky")
    assert flaky.task_id == again.task_id


FAILURE = FailureDetails("ValueError", "broken", "stack", FailureDetails("KeyError", "k"), True, {"a": [1, None]})
HISTORY: list[ev.HistoryEvent] = [
    ev.OrchestratorStarted(T0),
    ev.ExecutionStarted(
        "order", EXECUTION, "1", "2.0", parent=ev.ParentLink("boss", "e-1", 3, 3, "lead"), scheduled_start_at=T0,
        trace_context=TRACE, tags={"t": "u"},
    ),
    ev.TaskScheduled(1, "a", "1", "2.0", {"t": "u"}, TRACE),
    ev.SubOrchestrationCreated(2, "leg", "order-1:0002", "1", "2.0", {"t": "u"}, TRACE),
    ev.TimerCreated(3, T0),
    ev.EventSent(4, "other", "Go", "1"),
    ev.EntityCalled(5, "@c@a", "add", "1"),
    ev.EntitySignaled(6, "@c@a", "add", "1", T0),
    ev.EntityLockRequested(7, "s-1", ("@c@a", "@c@b")),
    ev.EntityUnlockSent(8, "s-1", "@c@a"),
    ev.OrchestratorStarted(T0 + timedelta(microseconds=1)),
    ev.TaskCompleted(1, 2, ""),
    ev.TaskFailed(1, 2, FAILURE),
    ev.SubOrchestrationCompleted(2, 3, "1"),
    ev.SubOrchestrationFailed(2, 3, FAILURE),
    ev.TimerFired(3, 4, T0),
    ev.EventRaised("Go", "1"),
    ev.EntityOperationCompleted(5, 6, "1"),
    ev.EntityOperationFailed(5, 6, FAILURE),
    ev.EntityLockGranted(7, 8),
    ev.ExecutionSuspended("r"),
    ev.ExecutionResumed("r"),
    ev.ExecutionTerminated("1", recursive=True),
    ev.ExecutionRewound("r"),
    ev.ExecutionCompleted(RuntimeStatus.Failed, "1", FAILURE),
]  # fmt: skip


def _messages() -> dict[str, bytes]:
    writer = HistoryWriter("order-1", EXECUTION)
    frames = writer.whole(HISTORY)
    origin = Origin("order-1", InstanceKind.ORCHESTRATION, "order", EXECUTION, T0, "2.0", "1", tags={"t": "u"})
    record = InstanceRecord(origin, Progress(RuntimeStatus.Failed, T0, failure=FAILURE, custom_status="1"))
    activity = PendingActivity(1, "order-1", EXECUTION, 2, 3, "a", "1", "2.0", {"t": "u"}, TRACE)
    call = Operation("add", "1", is_signal=False, caller="order-1", caller_execution=EXECUTION)
    return {
        "HistoryChunk": joined(b"\x0a", frames),
        "OrchestratorRequest": writer.append(HISTORY) + joined(b"\x22", writer.frames(HISTORY)),
        "WorkItem": orchestrator_item(
            instance_id="order-1", execution_id=EXECUTION, past=b"", new=frames[:1], token="t-1", span="s 1 100"
        ),
        "WorkItem of an activity": activity_item(activity, "t-1"),
        "WorkItem of an entity": entity_item(
            EntityId("c", "a"), "1", [call, Operation("add", None, is_signal=True)], token="t-1"
        ),
        "OrchestrationState": write_state(record, with_payloads=True).SerializeToString(),
    }


@pytest.mark.parametrize("what", list(_messages()))
def test_its_classes_read_every_field_as_ours_do(official: Official, what: str) -> None:
    kind = what.partition(" ")[0]
    data = _messages()[what]
    ours = getattr(pb, kind).FromString(data)
    assert official.ask(data, show=kind) == json_format.MessageToDict(ours)
