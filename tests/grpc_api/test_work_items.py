"""Workers over gRPC: a hub, a server on loopback, and raw messages."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.execution.remote_items import RemoteOptions
from perdure.formats.protobuf import messages as pb
from support.work_item_world import RawWorker, WorkItemWorld, completed, run, schedule, seen, sequence, serving


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path}/hub.db"


def test_a_sequence_runs_at_a_worker(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            worker = RawWorker(world.port)
            await worker.connect()
            await worker.call("Hello", pb.Empty())
            serving_it = asyncio.ensure_future(worker.serve(sequence(5)))
            instance_id = await world.client.start("order", input="1")
            record = await world.ended(instance_id)
            assert (record.progress.status.name, record.progress.output) == ("Completed", "5")
            serving_it.cancel()
            await asyncio.gather(serving_it, return_exceptions=True)
            await worker.close()

    run(scenario)


def test_what_a_turn_holds(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            worker = RawWorker(world.port)
            await worker.connect()
            instance_id = await world.client.start("order", input='"in"')
            item = await worker.take()
            request = item.orchestratorRequest
            assert item.completionToken
            assert request.instanceId == instance_id
            assert len(request.executionId.value) == 36
            assert [event.WhichOneof("eventType") for event in request.newEvents] == [
                "orchestratorStarted",
                "executionStarted",
            ]
            assert not request.pastEvents
            await worker.answer_turn(item, schedule(7, "charge", '"10"'), customStatus=pb.StringValue(value='"busy"'))
            item = await worker.take()
            activity = item.activityRequest
            assert (activity.name, activity.input.value, activity.taskId) == ("charge", '"10"', 7)
            assert activity.orchestrationInstance.instanceId == instance_id
            assert activity.orchestrationInstance.executionId == request.executionId
            await worker.answer_activity(item, '"paid"')
            request = (await worker.take()).orchestratorRequest
            assert [event.WhichOneof("eventType") for event in request.pastEvents] == [
                "orchestratorStarted",
                "executionStarted",
                "taskScheduled",
                "orchestratorCompleted",
            ]
            assert [event.WhichOneof("eventType") for event in request.newEvents] == [
                "orchestratorStarted",
                "taskCompleted",
            ]
            [done] = seen(request, "taskCompleted")
            assert (done.taskScheduledId, done.result.value) == (7, '"paid"')
            assert all(event.HasField("timestamp") for event in [*request.pastEvents, *request.newEvents])
            await worker.close()

    run(scenario)


def test_an_answer_is_acknowledged_when_it_is_durable(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(f"sqlite:{tmp_path}/hub.db") as world:
            worker = RawWorker(world.port)
            await worker.connect()
            instance_id = await world.client.start("order")
            await worker.answer_turn(await worker.take(), schedule(1), schedule(2))
            stored = await world.client.history(instance_id)
            assert sum(type(event).__name__ == "TaskScheduled" for event in stored) == 2
            await worker.answer_activity(await worker.take(), "1")
            stored = await world.client.history(instance_id)
            item = await worker.take()
            while not item.HasField("orchestratorRequest"):
                item = await worker.take()
            await worker.answer_turn(item, completed('"done"'))
            assert await world.status(instance_id) == "Completed"
            await worker.close()

    run(scenario)


def test_a_failed_activity_tells_what_the_worker_told(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            worker = RawWorker(world.port)
            await worker.connect()
            await world.client.start("order")
            await worker.answer_turn(await worker.take(), schedule(1))
            failure = pb.TaskFailureDetails(
                errorType="builtins.ValueError",
                errorMessage="",
                isNonRetriable=True,
                innerFailure=pb.TaskFailureDetails(errorType="KeyError", errorMessage="inner"),
            )
            await worker.answer_activity(await worker.take(), failureDetails=failure)
            item = await worker.take()
            [failed] = seen(item.orchestratorRequest, "taskFailed")
            assert failed.failureDetails == failure
            await worker.close()

    run(scenario)


def test_a_worker_that_vanishes_loses_its_items_to_another(url: str) -> None:
    async def scenario() -> None:
        options = RemoteOptions(turn_grace_seconds=0.05, activity_grace_seconds=0.05)
        async with serving(url, options) as world:
            first, second = RawWorker(world.port, "first"), RawWorker(world.port, "second")
            await first.connect()
            instance_id = await world.client.start("order")
            turn = await first.take()
            await first.close()
            await second.connect()
            again = await second.take()
            assert again.orchestratorRequest.instanceId == instance_id
            assert again.completionToken != turn.completionToken
            await second.answer_turn(again, schedule(1))
            activity = await second.take()
            await second.close()
            third = RawWorker(world.port, "third")
            await third.connect()
            # What the first worker did counts no more, and it is told nothing of it.
            await third.answer_turn(turn, completed('"too late"'))
            await third.answer_activity(activity, '"late"')
            assert await world.status(instance_id) == "Running"
            item = await third.take()
            assert item.activityRequest.taskId == 1
            await third.answer_activity(item, '"in time"')
            [done] = seen((await third.take()).orchestratorRequest, "taskCompleted")
            assert done.result.value == '"in time"'
            await third.close()

    run(scenario)


def test_a_worker_that_stops_its_stream_still_completes(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            worker = RawWorker(world.port, "w1")
            await worker.connect()
            instance_id = await world.client.start("order")
            item = await worker.take()
            await worker.close_stream()
            await worker.answer_turn(item, completed('"done"'))
            assert (await world.ended(instance_id)).progress.output == '"done"'
            await worker.close()

    run(scenario)


def test_answers_are_repeated_without_harm(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            worker = RawWorker(world.port)
            await worker.connect()
            instance_id = await world.client.start("order")
            turn = await worker.take()
            await asyncio.gather(*(worker.answer_turn(turn, schedule(1)) for _ in range(5)))
            activity = await worker.take()
            await asyncio.gather(*(worker.answer_activity(activity, str(n)) for n in range(5)))
            await worker.answer_turn(turn, completed('"no"'))
            item = await worker.take()
            assert len(seen(item.orchestratorRequest, "taskScheduled")) == 1
            assert len(seen(item.orchestratorRequest, "taskCompleted")) == 1
            await worker.answer_turn(item, completed('"yes"'))
            assert (await world.ended(instance_id)).progress.output == '"yes"'
            await worker.close()

    run(scenario)


def test_a_worker_without_tokens(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            worker = RawWorker(world.port)
            await worker.connect()
            instance_id = await world.client.start("order")
            turn = await worker.take()
            turn.completionToken = ""
            stranger = RawWorker(world.port)
            await stranger.answer_turn(turn, completed('"stolen"'))
            await worker.answer_turn(turn, schedule(1), schedule(2))
            activities = [await worker.take() for _ in range(2)]
            for item in activities:
                item.completionToken = ""
            await worker.answer_activity(activities[1], '"second"')
            [done] = seen((await worker.take()).orchestratorRequest, "taskCompleted")
            assert done.taskScheduledId == activities[1].activityRequest.taskId
            assert await world.status(instance_id) == "Running"
            await worker.close()
            await stranger.close()

    run(scenario)


def test_abandoned_items_come_again(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            worker = RawWorker(world.port)
            await worker.connect()
            await world.client.start("order")
            turn = await worker.take()
            await worker.call(
                "AbandonTaskOrchestratorWorkItem",
                pb.AbandonOrchestrationTaskRequest(completionToken=turn.completionToken),
            )
            turn = await worker.take()
            await worker.answer_turn(turn, schedule(1))
            activity = await worker.take()
            request = pb.AbandonActivityTaskRequest(completionToken=activity.completionToken)
            await worker.call("AbandonTaskActivityWorkItem", request)
            await worker.call("AbandonTaskActivityWorkItem", request)
            assert (await worker.take()).activityRequest.taskId == 1
            await worker.call("AbandonTaskEntityWorkItem", pb.AbandonEntityTaskRequest(completionToken="nobody's"))
            await worker.call("AbandonTaskEntityWorkItem", pb.AbandonEntityTaskRequest())
            await worker.close()

    run(scenario)


def test_an_orchestration_ends_at_once_when_its_worker_gives_its_turn_back(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            worker = RawWorker(world.port)
            await worker.connect()
            instance_id = await world.client.start("order")
            turn = await worker.take()
            terminating = asyncio.ensure_future(world.client.terminate(instance_id, '"stop"'))
            await asyncio.wait([terminating], timeout=0.1)
            request = pb.AbandonOrchestrationTaskRequest(completionToken=turn.completionToken)
            await worker.call("AbandonTaskOrchestratorWorkItem", request)
            await terminating
            assert (await world.ended(instance_id)).progress.status.name == "Terminated"
            await world.client.start("order", instance_id="next")
            assert (await worker.take()).orchestratorRequest.instanceId == "next"
            await worker.close()

    run(scenario)


def test_filters_and_limits_of_the_request(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            worker, other = RawWorker(world.port), RawWorker(world.port)
            await worker.connect(
                maxConcurrentActivityWorkItems=1,
                workItemFilters=pb.WorkItemFilters(
                    orchestrations=[pb.OrchestrationFilter(name="order", versions=["2"])],
                    activities=[pb.ActivityFilter(name="step")],
                ),
            )
            await world.client.start("order", version="1", instance_id="v1")
            await world.client.start("order", version="2", instance_id="v2")
            turn = await worker.take()
            assert turn.orchestratorRequest.instanceId == "v2"
            await worker.answer_turn(turn, schedule(1), schedule(2), schedule(3, "unknown"))
            first = await worker.take()
            await other.connect(workItemFilters=pb.WorkItemFilters(activities=[pb.ActivityFilter(name="unknown")]))
            assert (await other.take()).activityRequest.taskId == 3
            await worker.answer_activity(first, "1")
            taken = [await worker.take(), await worker.take()]
            assert {item.WhichOneof("request") for item in taken} == {"activityRequest", "orchestratorRequest"}
            await worker.close()
            await other.close()

    run(scenario)


def test_a_silent_stream_gets_pings() -> None:
    async def scenario() -> None:
        async with serving(options=RemoteOptions(ping_seconds=0.02)) as world:
            worker = RawWorker(world.port)
            await worker.connect()
            for _ in range(3):
                item = await worker.read()
                assert item.WhichOneof("request") == "healthPing"
                assert not item.completionToken
            await worker.close()

    run(scenario)


def test_streams_end_cleanly_when_the_server_stops() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect()
            await world.client.start("order")
            await worker.take()
            reading = asyncio.ensure_future(worker.read())
        assert not isinstance(await reading, pb.WorkItem)
        await worker.close()

    run(scenario)


def test_work_goes_on_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(f"sqlite:{tmp_path}/hub.db") as world:
            worker = RawWorker(world.port)
            await worker.connect()
            instance_id = await world.client.start("order")
            await worker.answer_turn(await worker.take(), schedule(1))
            activity = await worker.take()
            await worker.close()
            await world.stop(0.0)
            await world.start()
            worker = RawWorker(world.port)
            await worker.connect()
            await worker.answer_activity(activity, '"of before"')
            again = await worker.take()
            assert again.activityRequest.taskId == 1
            await worker.answer_activity(again, '"after"')
            item = await worker.take()
            [done] = seen(item.orchestratorRequest, "taskCompleted")
            assert done.result.value == '"after"'
            await worker.answer_turn(item, completed("1"))
            assert (await world.ended(instance_id)).progress.output == "1"
            await worker.close()

    run(scenario)


def test_only_the_holder_of_an_item_completes_it(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            holder, other = RawWorker(world.port, "holder"), RawWorker(world.port, "other")
            await holder.connect()
            instance_id = await world.client.start("order")
            turn = await holder.take()
            await other.answer_turn(turn, completed('"stolen"'))
            await other.call(
                "AbandonTaskOrchestratorWorkItem",
                pb.AbandonOrchestrationTaskRequest(completionToken=turn.completionToken),
            )
            assert await world.status(instance_id) == "Pending"
            await holder.answer_turn(turn, completed('"mine"'))
            assert (await world.ended(instance_id)).progress.output == '"mine"'
            await holder.close()
            await other.close()

    run(scenario)


def test_what_arrives_before_a_worker_comes_travels_in_one_item(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            instance_id = await world.client.start("order")
            for n in range(5):
                await world.client.raise_event(instance_id, "approved", str(n))
            worker = RawWorker(world.port)
            await worker.connect()
            request = (await worker.take()).orchestratorRequest
            assert [event.input.value for event in seen(request, "eventRaised")] == list("01234")
            assert len(request.newEvents) == 7
            await worker.close()

    run(scenario)


def test_an_orchestration_ends_and_rests_without_any_worker(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            instance_id = await world.client.start("order")
            other_id = await world.client.start("order")
            await world.client.suspend(other_id, "wait")
            await world.client.terminate(instance_id, '"stop"')
            record = await world.ended(instance_id)
            assert record.progress.status.name == "Terminated"
            worker = RawWorker(world.port)
            await worker.connect()
            stopped = asyncio.ensure_future(worker.take())
            await asyncio.wait([stopped], timeout=0.2)
            if stopped.done():
                # The start came in a turn of its own, before the suspension did.
                assert stopped.result().orchestratorRequest.instanceId == other_id
            else:
                await world.client.resume(other_id, "go on")
                assert (await stopped).orchestratorRequest.instanceId == other_id
            await worker.close()

    run(scenario)


PAUSED_WORKER = """
import asyncio, sys
sys.path[:0] = sys.argv[2:]
from support.work_item_world import RawWorker

async def main():
    worker = RawWorker(int(sys.argv[1]), "paused")
    await worker.connect()
    await worker.take()
    print("has it", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_what_a_paused_worker_holds_goes_to_another() -> None:
    async def scenario() -> None:
        options = RemoteOptions(turn_grace_seconds=0.1)
        async with serving(options=options, silent_seconds=1.0) as world:
            instance_id = await world.client.start("order")
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PAUSED_WORKER, str(world.port), *filter(None, sys.path), stdout=subprocess.PIPE
            )
            try:
                assert process.stdout is not None
                async with asyncio.timeout(20):
                    assert await process.stdout.readline() == b"has it\n"
                process.send_signal(signal.SIGSTOP)
                worker = RawWorker(world.port, "awake")
                await worker.connect()
                item = await worker.take()
                assert item.orchestratorRequest.instanceId == instance_id
                await worker.answer_turn(item, completed())
                await worker.close()
            finally:
                process.kill()
                await process.wait()

    run(scenario)


def test_events_that_a_worker_left_come_again(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            instance_id = await world.client.start("order")
            for n in range(3):
                await world.client.raise_event(instance_id, "approved", str(n))
            worker = RawWorker(world.port)
            await worker.connect()
            await worker.answer_turn(await worker.take(), numEventsProcessed=pb.Int32Value(value=2))
            request = (await worker.take()).orchestratorRequest
            kinds = [event.WhichOneof("eventType") for event in request.pastEvents]
            assert kinds == ["orchestratorStarted", "executionStarted", "eventRaised", "orchestratorCompleted"]
            kinds = [event.WhichOneof("eventType") for event in request.newEvents]
            assert kinds == ["orchestratorStarted", "eventRaised", "eventRaised"]
            assert [event.input.value for event in seen(request, "eventRaised")] == list("012")
            await worker.close()

    run(scenario)


def test_events_that_an_execution_hands_on_keep_their_places_when_a_worker_leaves_some(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            instance_id = await world.client.start("order")
            worker = RawWorker(world.port)
            await worker.connect()
            again = pb.OrchestratorAction(id=1)
            again.completeOrchestration.orchestrationStatus = pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW
            for n in range(3):
                carried = again.completeOrchestration.carryoverEvents.add().eventRaised
                carried.name, carried.input.value = "approved", str(n)
            first = await worker.take()
            await world.client.raise_event(instance_id, "approved", "3")
            await worker.answer_turn(first, again)
            item = await worker.take()
            assert [event.input.value for event in seen(item.orchestratorRequest, "eventRaised")] == list("0123")
            await world.client.raise_event(instance_id, "approved", "4")
            # It takes its start and the first event.
            await worker.answer_turn(item, numEventsProcessed=pb.Int32Value(value=2))
            came = ["0"]
            while len(came) < 5:
                item = await worker.take()
                new = [e for e in item.orchestratorRequest.newEvents if e.WhichOneof("eventType") == "eventRaised"]
                came += [event.eventRaised.input.value for event in new]
                await worker.answer_turn(item)
            assert came == list("01234")
            await worker.close()

    run(scenario)


def test_events_that_do_not_fit_together_come_one_after_the_other(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            instance_id = await world.client.start("order")
            for n in range(7):
                await world.client.raise_event(instance_id, "approved", f'"{n}' + "x" * 1_000_000 + '"')
            worker = RawWorker(world.port)
            await worker.connect(capabilities=[pb.WORKER_CAPABILITY_HISTORY_STREAMING])
            came: list[str] = []
            while len(came) < 7:
                item = await worker.take()
                assert item.ByteSize() <= 4 * 1024 * 1024
                request = item.orchestratorRequest
                new = [event for event in request.newEvents if event.WhichOneof("eventType") == "eventRaised"]
                came += [event.eventRaised.input.value[1] for event in new]
                await worker.answer_turn(item, *([completed()] if len(came) == 7 else []))
            assert came == list("0123456")
            assert (await world.ended(instance_id)).progress.status.name == "Completed"
            await worker.close()

    run(scenario)


def test_a_stream_that_is_not_read_gets_no_more_than_its_limit(url: str) -> None:
    async def scenario() -> None:
        async with serving(url) as world:
            lazy, eager = RawWorker(world.port, "lazy"), RawWorker(world.port, "eager")
            await lazy.connect(maxConcurrentOrchestrationWorkItems=5)
            first = await lazy_start(world, lazy)
            await eager.connect()
            for n in range(40):
                await world.client.start("order", instance_id=f"order-{n}")
            taken = [(await eager.take()).orchestratorRequest.instanceId for _ in range(40 - 4)]
            assert len(set(taken)) == 36
            assert first not in taken
            await lazy.close()
            await eager.close()

    run(scenario)


async def lazy_start(world: WorkItemWorld, worker: RawWorker) -> str:
    """One item that the worker takes; it reads nothing after it."""
    instance_id = await world.client.start("order")
    assert (await worker.take()).orchestratorRequest.instanceId == instance_id
    return instance_id
