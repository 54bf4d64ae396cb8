"""What is stuck is found, and what is not is left alone (reliability.md X8)."""

from perdure.contracts.records import FindingKind
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import NewActivity
from perdure.core.status import RuntimeStatus
from support.store_stage import Stage
from support.stored_instances import activity_done, creation, entity, episode, later, next_execution, raised, timer


async def test_what_has_a_cause_is_not_stuck(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("activity"), [ev.TaskScheduled(0, "work")], activities=[NewActivity(2, 0, "work")])
    waits = await stage.begin(creation("timer"), [ev.TimerCreated(0, later(60))])
    parent = creation("parent")
    link = ev.ParentLink("parent", parent.record.origin.execution_id, 2, 0)
    child = creation("child", parent=link)
    await stage.begin(parent, [ev.SubOrchestrationCreated(0, "o", "child")], children=[child])
    await stage.begin(creation("event"), awaited_events=("go",))
    await stage.begin(creation("suspended"), status=RuntimeStatus.Suspended)
    caller = creation("caller")
    reply_to = ms.ReplyTo("caller", caller.record.origin.execution_id, 2)
    operation = ms.Envelope("@c@a", ms.OperationRequest("get", None, reply_to))
    await stage.begin(caller, [ev.EntityCalled(0, "@c@a", "get")], outbox=[operation])
    eternal = await stage.begin(creation("eternal"))
    answered = await stage.begin(creation("answered"), [ev.TaskScheduled(0, "work")])
    await stage.commit(
        next_execution(eternal),
        episode(entity("@c@a"), state="1"),
        kept=[timer(waits, 2, later(60)), activity_done(answered, 2, None)],
    )
    await stage.begin(creation("done"), status=RuntimeStatus.Completed)
    assert await stage.findings() == []


async def test_each_lost_piece_of_work_is_named(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("activity"), [ev.TaskScheduled(0, "work")])
    await stage.begin(creation("timer"), [ev.TimerCreated(0, later(60))])
    await stage.begin(creation("parent"), [ev.SubOrchestrationCreated(0, "o", "nobody")])
    await stage.begin(creation("caller"), [ev.EntityCalled(0, "@c@a", "get")])
    await stage.begin(creation("idle"))
    # A child of that id that answers somebody else is no help.
    await stage.begin(creation("stranger"), awaited_events=("x",))
    await stage.begin(creation("misled"), [ev.SubOrchestrationCreated(0, "o", "stranger")])
    # The answer to an execution before is none.
    wrong = await stage.begin(creation("old"), [ev.TaskScheduled(0, "work")])
    answer = activity_done(wrong, 2, None)
    answer.message = ms.ActivityCompleted("another execution", 2)
    await stage.commit(kept=[answer])
    findings = await stage.findings()
    assert {finding.kind for finding in findings} == {FindingKind.STUCK}
    expected = ["activity", "caller", "idle", "misled", "old", "parent", "timer"]
    assert sorted(str(finding.instance_id) for finding in findings) == expected
    assert await stage.findings(liveness=False) == []


async def test_a_record_that_disagrees_with_its_history_is_named(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    wrong = episode(a, status=RuntimeStatus.Completed)
    wrong.events = [ev.ExecutionCompleted(RuntimeStatus.Failed)]
    b = await stage.begin(creation("b"))
    early = episode(b, events=[ev.ExecutionCompleted(RuntimeStatus.Completed)])
    c = await stage.begin(creation("c"), outbox=[raised("c")])
    endless = episode(c, events=c.events[:1])
    endless.progress = type(endless.progress)(RuntimeStatus.Completed, later(0), endless.progress.last_seq)
    await stage.commit(wrong, early, endless)
    findings = await stage.findings(liveness=False)
    assert [(f.kind, f.instance_id) for f in findings] == [(FindingKind.RECORD, name) for name in "abc"]
