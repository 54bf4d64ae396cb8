"""What every client does, whatever carries its calls and whether they block (portable-sdk.md §5.2)."""

import asyncio
import inspect
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from durabletask import history
from durabletask.client import (
    EntityQuery,
    IdReusePolicy,
    OrchestrationAlreadyExistsError,
    OrchestrationFailedError,
    OrchestrationQuery,
    OrchestrationStatus,
    PurgeInstancesResult,
)
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.scheduled import AsyncScheduledTaskClient, ScheduleCreationOptions, ScheduledTaskClient
from support.portable_hubs import Place, echo, fails, served, waits

COMPLETED, FAILED, TERMINATED = (OrchestrationStatus[name] for name in ("COMPLETED", "FAILED", "TERMINATED"))


class Asking:
    """A client of either style; ``ask`` gives the answer of one of its calls."""

    def __init__(self, client: Any, ask: Callable[[Any], Any]) -> None:
        self.client = client
        self.ask = ask

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        return lambda *given, **named: self.ask(method(*given, **named))


@pytest.fixture(scope="module", params=["memory", "grpc"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A hub with a worker: in memory and asked in process, or in a file and asked over gRPC."""
    folder: Path = tmp_path_factory.mktemp("hub")
    with served(request.param, folder) as place:
        yield place


@pytest.fixture(params=["blocking", "awaited"])
def client(request: pytest.FixtureRequest, place: Place) -> Iterator[Asking]:
    """A client of it."""
    if request.param == "blocking":
        with place.blocking() as blocking:
            yield Asking(blocking, lambda answer: answer)
        return
    with asyncio.Runner() as runner:
        awaited = place.awaited()

        async def answer(call: Any) -> Any:
            return await call

        yield Asking(awaited, lambda call: runner.run(answer(call)) if inspect.isawaitable(call) else call)
        runner.run(awaited.close())


def new_id() -> str:
    """An id of its own for each test."""
    return uuid.uuid4().hex


def waiting(client: Asking, **said: Any) -> str:
    """An orchestration that waits for the event ``go``."""
    instance_id = client.schedule_new_orchestration(waits, **said)
    assert client.wait_for_orchestration_start(instance_id) is not None
    return instance_id


def ended(client: Asking, orchestrator: Any = echo, **said: Any) -> Any:
    """The state of an orchestration that has run to its end."""
    return client.wait_for_orchestration_completion(client.schedule_new_orchestration(orchestrator, **said), timeout=20)


def test_starts_by_function_or_name_and_reads_what_came_of_it(client: Asking) -> None:
    for orchestrator in (echo, "echo"):
        state = ended(client, orchestrator, input={"n": [1, None]}, tags={"team": "a"}, version="1.2")
        assert (state.runtime_status, state.name, state.get_output()) == (COMPLETED, "echo", {"n": [1, None]})
        assert (state.result, state.input, state.version, state.tags) == ({"n": [1, None]},) * 2 + (
            "1.2",
            {"team": "a"},
        )
        assert state.created_at.tzinfo is None
        assert state.created_at <= state.last_updated_at
        assert state.completed_at.tzinfo is UTC
        assert state.is_terminal
        assert state.failure_details is None


def test_makes_an_id_of_thirty_two_hex_digits(client: Asking) -> None:
    assert len(bytes.fromhex(client.schedule_new_orchestration(echo))) == 16


def test_payloads_are_left_out_on_request(client: Asking) -> None:
    instance_id = ended(client, input="x").instance_id
    state = client.get_orchestration_state(instance_id, fetch_payloads=False)
    assert (state.serialized_input, state.serialized_output) == (None, None)
    assert client.get_orchestration_state(instance_id).serialized_output == '"x"'


def test_what_is_not_there_is_none(client: Asking) -> None:
    assert client.get_orchestration_state(new_id()) is None
    assert client.get_entity(EntityInstanceId("counter", new_id())) is None
    assert client.wait_for_orchestration_start(new_id(), timeout=0.3) is None
    assert client.wait_for_orchestration_completion(new_id(), timeout=0.3) is None


def test_a_failure_is_told_and_not_raised(client: Asking) -> None:
    state = ended(client, fails, input="way")
    assert state.runtime_status is FAILED
    assert (state.failure_details.message, state.failure_details.error_type) == ("no way", "ValueError")
    assert state.result is None
    with pytest.raises(OrchestrationFailedError, match="no way"):
        state.raise_if_failed()


def test_waiting_gives_up_with_a_time_out(client: Asking) -> None:
    instance_id = waiting(client)
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=instance_id):
        client.wait_for_orchestration_completion(instance_id, timeout=0.3)
    assert time.monotonic() - begun < 5
    client.raise_orchestration_event(instance_id, "GO", data=[1])
    assert client.wait_for_orchestration_completion(instance_id, timeout=None).result == [1]


def test_an_id_that_is_taken_is_refused_and_nothing_is_changed(client: Asking) -> None:
    for instance_id in (waiting(client), ended(client).instance_id):
        before = client.get_orchestration_state(instance_id)
        with pytest.raises(OrchestrationAlreadyExistsError) as refused:
            client.schedule_new_orchestration(echo, instance_id=instance_id)
        assert isinstance(refused.value, grpc.RpcError)
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert instance_id in refused.value.details()
        assert client.get_orchestration_state(instance_id) == before


@pytest.mark.parametrize("ours", [True, False])
def test_an_id_is_used_again_where_the_policy_says_so(client: Asking, ours: bool) -> None:
    statuses = [COMPLETED, TERMINATED, OrchestrationStatus.RUNNING]
    policy: Any = IdReusePolicy(statuses)
    if not ours:
        policy = pb.OrchestrationIdReusePolicy(
            replaceableStatus=[f"ORCHESTRATION_STATUS_{status}" for status in statuses]
        )
    running, done = waiting(client), ended(client).instance_id
    for instance_id in (running, done):
        client.schedule_new_orchestration(echo, instance_id=instance_id, input="new", reuse_id_policy=policy)
        assert client.wait_for_orchestration_completion(instance_id).result == "new"
    failed = ended(client, fails).instance_id
    with pytest.raises(OrchestrationAlreadyExistsError):
        client.schedule_new_orchestration(echo, instance_id=failed, reuse_id_policy=policy)


def test_a_policy_that_contradicts_itself_is_refused(client: Asking) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        client.schedule_new_orchestration(
            echo, instance_id=new_id(), reuse_id_policy=IdReusePolicy([OrchestrationStatus.RUNNING])
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError, match="IdReusePolicy"):
        client.schedule_new_orchestration(echo, reuse_id_policy="error")


def test_a_start_in_the_future_waits_and_one_in_the_past_does_not(client: Asking) -> None:
    later = client.schedule_new_orchestration(echo, start_at=datetime.now(UTC) + timedelta(hours=1))
    naive = client.schedule_new_orchestration(
        echo, start_at=datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    )
    for instance_id in (later, naive):
        assert client.get_orchestration_state(instance_id).runtime_status is OrchestrationStatus.PENDING
        with pytest.raises(TimeoutError):
            client.wait_for_orchestration_start(instance_id, timeout=0.2)
    assert ended(client, start_at=datetime(2020, 1, 1)).runtime_status is COMPLETED


def test_suspends_resumes_and_terminates(client: Asking) -> None:
    instance_id = waiting(client, input="here")
    assert client.get_orchestration_state(instance_id).custom_status == "here"
    client.suspend_orchestration(instance_id, reason="lunch")
    wait_for_status(client, instance_id, OrchestrationStatus.SUSPENDED)
    client.raise_orchestration_event(instance_id, "go")
    client.resume_orchestration(instance_id)
    assert client.wait_for_orchestration_completion(instance_id).runtime_status is COMPLETED
    other = waiting(client)
    client.terminate_orchestration(other, output={"why": 1})
    state = client.wait_for_orchestration_completion(other)
    assert (state.runtime_status, state.result) == (TERMINATED, {"why": 1})


def wait_for_status(client: Asking, instance_id: str, status: OrchestrationStatus) -> None:
    """Ask until it is so."""
    for _ in range(200):
        if client.get_orchestration_state(instance_id).runtime_status is status:
            return
        time.sleep(0.02)
    raise AssertionError(f"{instance_id} has not become {status}")


def test_what_has_ended_takes_no_more_and_that_is_no_error(client: Asking) -> None:
    instance_id = ended(client).instance_id
    client.raise_orchestration_event(instance_id, "go")
    client.suspend_orchestration(instance_id)
    client.resume_orchestration(instance_id)
    client.terminate_orchestration(instance_id)
    assert client.get_orchestration_state(instance_id).runtime_status is COMPLETED


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.raise_orchestration_event(new_id(), "go"),
        lambda client: client.suspend_orchestration(new_id()),
        lambda client: client.resume_orchestration(new_id()),
        lambda client: client.terminate_orchestration(new_id()),
        lambda client: client.rewind_orchestration(new_id()),
        lambda client: client.restart_orchestration(new_id()),
        lambda client: client.get_orchestration_history(new_id()),
    ],
)
def test_steering_what_is_not_there_is_refused(client: Asking, ask: Callable[[Asking], None]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ask(client)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND  # pyright: ignore[reportAttributeAccessIssue]


def test_rewinds_what_failed_and_nothing_else(client: Asking) -> None:
    instance_id = ended(client, fails).instance_id
    client.rewind_orchestration(instance_id, reason="again")
    assert client.wait_for_orchestration_completion(instance_id).runtime_status is FAILED
    with pytest.raises(grpc.RpcError) as refused:
        client.rewind_orchestration(ended(client).instance_id)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION  # pyright: ignore[reportAttributeAccessIssue]


def test_restarts_under_its_own_id_or_another(client: Asking) -> None:
    instance_id = ended(client, input="again", version="3").instance_id
    assert client.restart_orchestration(instance_id) == instance_id
    assert client.wait_for_orchestration_completion(instance_id).result == "again"
    other = client.restart_orchestration(instance_id, restart_with_new_instance_id=True)
    assert other != instance_id
    state = client.wait_for_orchestration_completion(other)
    assert (state.result, state.version) == ("again", "3")
    with pytest.raises(grpc.RpcError) as refused:
        client.restart_orchestration(waiting(client))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION  # pyright: ignore[reportAttributeAccessIssue]


def test_purges_one_and_its_children(client: Asking) -> None:
    instance_id = ended(client, "parent").instance_id
    assert client.purge_orchestration(waiting(client)) == PurgeInstancesResult(0, True)
    assert client.purge_orchestration(new_id()).deleted_instance_count == 0
    assert client.purge_orchestration(instance_id) == PurgeInstancesResult(2, True)
    assert client.get_orchestration_state(f"{instance_id}-child") is None


def test_purges_by_window_and_status(client: Asking) -> None:
    begun = datetime.now(UTC)
    ids = [ended(client).instance_id, ended(client, fails).instance_id]
    assert client.purge_orchestrations_by(begun, runtime_status=[FAILED]) == PurgeInstancesResult(1, True)
    assert client.get_orchestration_state(ids[1]) is None
    result = client.purge_orchestrations_by(created_time_from=begun, timeout=timedelta(seconds=30), recursive=True)
    assert result == PurgeInstancesResult(1, True)
    assert client.get_orchestration_state(ids[0]) is None


def test_lists_states_by_query_over_pages(client: Asking) -> None:
    prefix = new_id()
    ids = {client.schedule_new_orchestration(echo, instance_id=f"{prefix}{n}", input=n) for n in range(5)}
    for instance_id in ids:
        client.wait_for_orchestration_completion(instance_id)
    query = OrchestrationQuery(instance_id_prefix=prefix, fetch_inputs_and_outputs=True)
    states = client.get_all_orchestration_states(query)
    assert {state.instance_id: state.result for state in states} == {f"{prefix}{n}": n for n in range(5)}
    for page_size in (3, 0):
        query = OrchestrationQuery(instance_id_prefix=prefix, max_instance_count=page_size)
        assert {state.instance_id for state in client.get_all_orchestration_states(query)} == ids
    none = OrchestrationQuery(instance_id_prefix=prefix, runtime_status=[FAILED])
    assert client.get_all_orchestration_states(none) == []
    late = OrchestrationQuery(instance_id_prefix=prefix, created_time_from=datetime.now(UTC) + timedelta(hours=1))
    assert client.get_all_orchestration_states(late) == []


def test_iterates_over_states(client: Asking) -> None:
    prefix = new_id()
    ids = [ended(client, instance_id=f"{prefix}{n}").instance_id for n in range(2)]
    states = client.client.iter_orchestration_states(OrchestrationQuery(instance_id_prefix=prefix))
    if hasattr(states, "__aiter__"):

        async def collect() -> list[str]:
            return [state.instance_id async for state in states]

        found = client.ask(collect())
    else:
        found = [state.instance_id for state in states]
    assert found == ids


def test_lists_ids_of_the_ended_page_by_page(client: Asking) -> None:
    begun = datetime.now(UTC)
    ids = [ended(client).instance_id for _ in range(3)]
    waiting(client)
    first = client.list_instance_ids(completed_time_from=begun, page_size=2)
    assert first.items == ids[:2]
    second = client.list_instance_ids(
        completed_time_from=begun, page_size=2, continuation_token=first.continuation_token
    )
    assert (second.items, second.continuation_token) == (ids[2:], None)
    assert client.list_instance_ids([FAILED], completed_time_from=begun).items == []


def test_reads_histories(client: Asking) -> None:
    instance_id = ended(client, input="x").instance_id
    events = client.get_orchestration_history(instance_id)
    assert [type(event).__name__.removesuffix("Event") for event in events] == [
        "OrchestratorStarted", "ExecutionStarted", "TaskScheduled", "OrchestratorCompleted",
        "OrchestratorStarted", "TaskCompleted", "OrchestratorCompleted", "ExecutionCompleted",
    ]  # fmt: skip
    started, scheduled = events[1], events[2]
    assert isinstance(started, history.ExecutionStartedEvent)
    assert started.orchestration_instance is not None
    assert (started.name, started.input, started.orchestration_instance.instance_id) == ("echo", '"x"', instance_id)
    assert isinstance(scheduled, history.TaskScheduledEvent)
    assert (scheduled.name, scheduled.event_id, scheduled.timestamp.tzinfo) == ("echoed", 1, UTC)
    assert scheduled.to_dict()["timestamp"] == scheduled.timestamp.isoformat()
    execution_id = client.get_orchestration_state(instance_id).execution_id
    assert client.get_orchestration_history(instance_id, execution_id=execution_id) == events


def test_signals_reads_lists_and_cleans_entities(client: Asking) -> None:
    key = new_id()
    entity = EntityInstanceId("Counter", key)
    client.signal_entity(entity, "add", 4)
    client.signal_entity(entity_instance_id=entity, operation_name="add", input=3, signal_time=datetime(2020, 1, 1))
    metadata = until(lambda: client.get_entity(entity), lambda found: found is not None and found.get_state() == "7")
    assert (metadata.id, metadata.get_typed_state(int), metadata.includes_state) == (entity, 7, True)
    assert metadata.last_modified.tzinfo is UTC
    assert metadata.get_locked_by() is None
    assert client.get_entity(entity, include_state=False).get_state() is None
    query = EntityQuery(instance_id_starts_with=f"@counter@{key[:20]}", page_size=1)
    assert [found.id for found in client.get_all_entities(query)] == [entity]
    before = EntityQuery(f"@counter@{key}", last_modified_to=datetime(2020, 1, 1))
    assert client.get_all_entities(before) == []
    client.signal_entity(entity, "clear")
    until(lambda: client.get_entity(entity), lambda found: found is None)
    until(lambda: client.clean_entity_storage(), lambda result: result.empty_entities_removed == 0)
    assert client.get_all_entities(EntityQuery(f"@counter@{key}", include_transient=True)) == []


def until(ask: Callable[[], Any], fits: Callable[[Any], bool]) -> Any:
    """Ask until the answer fits."""
    answer: Any = None
    for _ in range(300):
        answer = ask()
        if fits(answer):
            return answer
        time.sleep(0.02)
    raise AssertionError(f"it is still {answer}")


def test_a_value_that_cannot_be_written_is_refused_before_anything_is_sent(client: Asking) -> None:
    with pytest.raises(TypeError, match="cannot be written"):
        client.schedule_new_orchestration(echo, input=object())


def test_after_close_nothing_is_asked(client: Asking) -> None:
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.get_orchestration_state("x")


def test_schedules_are_steered_by_any_client(place: Place) -> None:
    with place.blocking() as client:
        schedules = ScheduledTaskClient(client, operation_timeout=20)
        schedule = schedules.create_schedule(
            ScheduleCreationOptions(new_id(), "echo", timedelta(seconds=1), orchestration_input="tick")
        )
        assert schedule.describe().orchestration_name == "echo"
        schedule.pause()
        assert schedule.schedule_id in [found.schedule_id for found in schedules.list_schedules()]
        schedule.delete()
        assert schedules.get_schedule(schedule.schedule_id) is None


def test_schedules_are_steered_by_clients_that_are_awaited(place: Place) -> None:
    async def steer() -> None:
        async with place.awaited() as client:
            schedules = AsyncScheduledTaskClient(client, operation_timeout=20)
            options = ScheduleCreationOptions(new_id(), "echo", timedelta(seconds=1), start_immediately_if_late=True)
            schedule = await schedules.create_schedule(options)
            query = OrchestrationQuery(instance_id_prefix=f"{schedule.schedule_id}-")
            for _ in range(200):
                if await client.get_all_orchestration_states(query):
                    break
                await asyncio.sleep(0.05)
            else:
                raise AssertionError("the schedule has started nothing")
            await schedule.pause()
            await schedule.resume()
            await schedule.delete()
            with pytest.raises(RuntimeError, match="pause_schedule"):
                await schedule.pause()

    asyncio.run(asyncio.wait_for(steer(), 30))
