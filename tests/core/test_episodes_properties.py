"""Whatever arrives, in whatever order and how often: applied once, within the table of moves, and as history says."""

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import Checkpoint, HistoryChange
from perdure.core.decisions import decide
from perdure.core.failures import FailureDetails
from perdure.core.instance import Instance, InstanceRecord, WorkKind
from perdure.core.receiving import receive
from perdure.core.status import ALLOWED_MOVES, RuntimeStatus
from support.orchestrations import LIMITS, after, apply, envelope, pending, start_of

EPISODES_MAX = 12
STRANGER = "11111111-1111-1111-1111-111111111111"
FAILURE = FailureDetails("ValueError", "boom")
PARENT = ev.ParentLink("parent-1", STRANGER, 7, 3, "boss")

_COMPLETIONS = {
    WorkKind.ACTIVITY: (ms.ActivityCompleted, ms.ActivityFailed),
    WorkKind.CHILD: (ms.ChildCompleted, ms.ChildFailed),
    WorkKind.ENTITY: (ms.OperationCompleted, ms.OperationFailed),
}
_OTHERS = (
    ms.RaiseEvent("go", "1"),
    ms.Suspend("wait"),
    ms.Resume("on"),
    ms.Terminate("enough"),
    ms.OperationRequest("get"),
    ms.ActivityCompleted(STRANGER, 2, "1"),
    ms.TimerDue(STRANGER, 2, after(1)),
)


class Model:
    """An instance beside its history and inbox, as a store would keep them."""

    def __init__(self, parent: ev.ParentLink | None) -> None:
        self.instance = pending(parent=parent)
        self.history: list[ev.HistoryEvent] = []
        self.inbox: list[ms.Envelope] = [start_of(self.instance)]
        self.begins_as = RuntimeStatus.Pending
        self.now = 0

    def take(self, envelopes: Sequence[ms.Envelope], result: ac.TurnResult) -> Checkpoint | None:
        """One episode; what is held stays in the inbox. None: nothing had an effect."""
        instance = self.instance
        intake = receive(instance, envelopes, after(self.now))
        assert sorted(map(id, envelopes)) == sorted(map(id, [*intake.consumed, *intake.held, *intake.dropped]))
        self.inbox.extend(intake.held)
        if not intake.events:
            assert not intake.consumed
            return None
        before = instance.progress
        checkpoint = decide(instance, intake, result if intake.runs_code else None, LIMITS)
        assert checkpoint.expected_last_seq == before.last_seq
        assert checkpoint.progress.status in ALLOWED_MOVES[before.status]
        assert before.episode_at is None or checkpoint.progress.episode_at is None or (
            checkpoint.progress.episode_at >= before.episode_at
        )  # fmt: skip
        apply(instance, checkpoint)
        if checkpoint.history is HistoryChange.REPLACE:
            self.history = []
            self.begins_as = checkpoint.progress.status
        self.history.extend(checkpoint.events)
        self.inbox.extend(e for e in checkpoint.outbox if e.target == instance.origin.instance_id and e.due_at is None)
        return checkpoint


def folded_status(model: Model) -> RuntimeStatus:
    """The status that the history alone tells."""
    status = model.begins_as
    waiting = RuntimeStatus.Pending if model.instance.origin.generation == 0 else RuntimeStatus.Running
    for event in model.history:
        match event:
            case ev.ExecutionStarted():
                waiting = RuntimeStatus.Running
                status = RuntimeStatus.Running if status is RuntimeStatus.Pending else status
            case ev.ExecutionSuspended():
                status = RuntimeStatus.Suspended
            case ev.ExecutionResumed():
                status = waiting
            case ev.ExecutionCompleted():
                status = event.status
            case _:
                pass
    return status


@st.composite
def _turns(draw: st.DrawFn, first_id: int) -> ac.TurnResult:
    """What code may ask for in one turn."""
    makers = draw(st.lists(st.sampled_from(["activity", "timer", "child", "call", "signal", "event"]), max_size=3))
    actions: list[ac.Action] = []
    for task_id, maker in enumerate(makers, first_id):
        match maker:
            case "activity":
                actions.append(ac.ScheduleActivity(task_id, "pack"))
            case "timer":
                actions.append(ac.CreateTimer(task_id, after(draw(st.integers(0, 50)))))
            case "child":
                actions.append(ac.StartChild(task_id, "part", None, draw(st.sampled_from([None, "@wrong", "part-1"]))))
            case "call":
                actions.append(ac.CallEntity(task_id, "@counter@k", "get"))
            case "signal":
                actions.append(ac.SignalEntity(task_id, "@counter@k", "add"))
            case _:
                actions.append(ac.SendEvent(task_id, "other", "go", None))
    ending = draw(
        st.sampled_from(
            [None] * 6 + [ac.Complete("1"), ac.Fail(FAILURE), ac.ContinueAsNew("2"), ac.ContinueAsNew(None)]
        )
    )
    return ac.TurnResult(tuple(actions), ending, draw(st.sampled_from([None, ac.NewStatus("1")])))


@st.composite
def _messages(draw: st.DrawFn, instance: Instance) -> list[ms.AnyMessage]:
    """What may arrive: completions of open work, of any kind, well or not; commands; strangers."""
    pool: list[ms.AnyMessage] = list(_OTHERS)
    execution = instance.origin.execution_id
    for seq, work in instance.open_work.items():
        if work.kind is WorkKind.TIMER:
            assert work.due_at is not None
            pool.append(ms.TimerDue(execution, seq, work.due_at))
            continue
        completed, failed = _COMPLETIONS[work.kind]
        pool += [completed(execution, seq, "1"), failed(execution, seq, FAILURE)]
    return draw(st.lists(st.sampled_from(pool), max_size=4))


def _twice(envelopes: Sequence[ms.Envelope], at: Sequence[int]) -> list[ms.Envelope]:
    """Some of them delivered again, after the first time."""
    doubled = list(envelopes)
    for index in at:
        if envelopes:
            again = envelopes[index % len(envelopes)]
            doubled.append(ms.Envelope(again.target, again.message))
    return doubled


def _has_identity(envelope: ms.Envelope) -> bool:
    # Each external event is one more; suspending and resuming are commands, and another one may mean it.
    return not isinstance(envelope.message, ms.RaiseEvent | ms.Suspend | ms.Resume)


@settings(
    max_examples=max(100, settings.default.max_examples if settings.default else 0),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data(), parent=st.sampled_from([None, PARENT]))
def test_history_and_record_agree_and_no_message_counts_twice(data: st.DataObject, parent: ev.ParentLink | None):
    model = Model(parent)
    task_id = 0
    for _ in range(EPISODES_MAX):
        instance = model.instance
        model.now += data.draw(st.integers(-2, 5), label="seconds pass")
        held, model.inbox = model.inbox, []
        arriving = [envelope(message) for message in data.draw(_messages(instance), label="messages")]
        envelopes = [*held, *arriving]
        doubled = _twice([e for e in envelopes if _has_identity(e)], data.draw(st.lists(st.integers(0, 9), max_size=3)))
        added = [e for e in doubled if all(e is not known for known in envelopes)]
        once = receive(instance, envelopes, after(model.now))
        assert receive(instance, [*envelopes, *added], after(model.now)).events == once.events

        result = data.draw(_turns(task_id), label="turn")
        task_id += len(result.actions)
        consumed = [e for e in once.consumed if _has_identity(e)]
        model.take(envelopes, result)

        again = receive(instance, [ms.Envelope(e.target, e.message) for e in consumed], after(model.now))
        assert again.events == []
        assert again.consumed == []
        loaded = Instance.loaded(InstanceRecord(instance.origin, instance.progress), model.history)
        assert loaded.open_work == instance.open_work
        assert loaded.started == instance.started
        assert len(model.history) == instance.progress.last_seq + 1
        assert folded_status(model) is instance.progress.status
        completed = [e for e in model.history if isinstance(e, ev.ExecutionCompleted)]
        assert len(completed) == instance.progress.status.is_terminal
        if completed:
            assert isinstance(model.history[-1], ev.ExecutionCompleted)
            assert (completed[0].result, completed[0].failure) == (instance.progress.output, instance.progress.failure)
