"""StartInstance and ids that are taken already (grpc.md §8.2)."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.times import read_time, write_time
from perdure.host.serve_options import REUSED_IDS
from support.scheduler_server import Scheduler, code_of, run, scheduler, text

Code = grpc.StatusCode
RUNNING, COMPLETED, FAILED, TERMINATED, PENDING, SUSPENDED = (
    pb.ORCHESTRATION_STATUS_RUNNING,
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
    pb.ORCHESTRATION_STATUS_PENDING,
    pb.ORCHESTRATION_STATUS_SUSPENDED,
)
ERROR, IGNORE, TERMINATE = 0, 1, 2


async def state_of(server: Scheduler, instance_id: str = "x") -> Any:
    answer = await server.client.GetInstance(instanceId=instance_id, getInputsAndOutputs=True)
    assert answer.exists
    return answer.orchestrationState


async def start(server: Scheduler, *, policy: Any = None, **fields: Any) -> str:
    request = pb.CreateInstanceRequest(**{"instanceId": "x", "name": "flow", **fields})
    if policy is not None:
        request.orchestrationIdReusePolicy.CopyFrom(policy)
    return (await server.client.StartInstance(request)).instanceId


async def put(server: Scheduler, status: int) -> None:
    """An instance 'x' of the name 'former' in that status; no worker is needed for these."""
    await start(server, name="former")
    if status == TERMINATED:
        await server.client.TerminateInstance(instanceId="x")
        await server.client.WaitForInstanceCompletion(instanceId="x")
    elif status == SUSPENDED:
        await server.client.SuspendInstance(instanceId="x")


def test_everything_that_is_said_of_a_start_is_kept(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            execution_id = str(uuid.uuid4())
            before = datetime.now(UTC)
            answered = await start(
                server,
                input=text('{"a": 1}'),
                version=text("2.0"),
                executionId=text(execution_id),
                tags={"team": "blue"},
                parentTraceContext=pb.TraceContext(traceParent=f"00-{'a' * 32}-{'b' * 16}-01"),
            )
            assert answered == "x"
            state = await state_of(server)
            assert (state.name, state.input.value, state.version.value) == ("flow", '{"a": 1}', "2.0")
            assert (state.executionId.value, dict(state.tags)) == (execution_id, {"team": "blue"})
            assert before <= read_time(state.createdTimestamp) <= datetime.now(UTC)
            assert state.orchestrationStatus == PENDING
            assert not state.HasField("scheduledStartTimestamp")
            record = await server.hubs.running()[0].client.get("x")
            assert record is not None
            assert record.origin.trace_context == f"00-{'a' * 32}-{'b' * 16}-01"

    run(scenario)


def test_an_id_is_made_when_none_is_given(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            made = await start(server, instanceId="")
            assert len(made) == 32
            assert int(made, 16)
            assert (await state_of(server, made)).instanceId == made

    run(scenario)


@pytest.mark.parametrize("instance_id", ["a/b", "a\\b", "a#b", "a?b", "a b", "p:0001:0002", "x" * 256])
def test_ids_of_the_portable_sdks_are_taken(instance_id: str) -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            assert await start(server, instanceId=instance_id) == instance_id

    run(scenario)


def test_an_execution_id_that_is_no_uuid_is_passed_over() -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            await start(server, executionId=text("mine"))
            assert uuid.UUID((await state_of(server)).executionId.value)

    run(scenario)


@pytest.mark.parametrize("at", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2001, 2, 3, tzinfo=UTC)])
def test_a_start_time_that_is_past_means_now(store_url: str, at: datetime) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server, scheduledStartTimestamp=write_time(at), input=text(""))
            await server.client.TerminateInstance(instanceId="x")
            state = await state_of(server)
            assert state.orchestrationStatus == TERMINATED
            assert not state.HasField("input")
            assert state.HasField("scheduledStartTimestamp") is (at.year != 1970)

    run(scenario)


def test_a_start_in_the_future_is_pending_until_then(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
            await start(server, scheduledStartTimestamp=write_time(at))
            state = await state_of(server)
            assert state.orchestrationStatus == PENDING
            assert read_time(state.scheduledStartTimestamp) == at

    run(scenario)


@pytest.mark.parametrize("status", [PENDING, SUSPENDED, TERMINATED])
def test_without_a_policy_a_taken_id_is_refused(store_url: str, status: int) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await put(server, status)
            code, details = await code_of(start(server))
            assert code is Code.ALREADY_EXISTS
            assert "'x'" in details
            assert (await state_of(server)).name == "former"

    run(scenario)


@pytest.mark.parametrize("status", [PENDING, SUSPENDED, TERMINATED])
@pytest.mark.parametrize("statuses", [[], [COMPLETED, FAILED], [TERMINATED, FAILED]])
def test_a_policy_replaces_the_ended_instances_it_names(store_url: str, status: int, statuses: list[int]) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await put(server, status)
            policy = pb.OrchestrationIdReusePolicy(replaceableStatus=statuses)  # type: ignore[arg-type]
            if status in statuses:
                former = (await state_of(server)).executionId.value
                assert await start(server, policy=policy) == "x"
                state = await state_of(server)
                assert (state.name, state.executionId.value == former) == ("flow", False)
            else:
                code, _ = await code_of(start(server, policy=policy))
                assert code is Code.ALREADY_EXISTS
                assert (await state_of(server)).name == "former"

    run(scenario)


@pytest.mark.parametrize("status", [PENDING, SUSPENDED])
def test_a_policy_that_names_running_instances_ends_them_first(store_url: str, status: int) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await put(server, status)
            former = (await state_of(server)).executionId.value
            waiting = asyncio.ensure_future(server.client.WaitForInstanceCompletion(instanceId="x"))
            await server.client.GetInstance(instanceId="x")
            statuses = [COMPLETED, FAILED, TERMINATED, PENDING, RUNNING, SUSPENDED]
            policy = pb.OrchestrationIdReusePolicy(replaceableStatus=statuses)
            assert await start(server, policy=policy) == "x"
            assert (await state_of(server)).name == "flow"
            ended = (await waiting).orchestrationState
            assert (ended.executionId.value, ended.orchestrationStatus) == (former, TERMINATED)

    run(scenario)


@pytest.mark.parametrize("status", [RUNNING, PENDING, SUSPENDED])
def test_running_instances_cannot_be_named_without_terminated_ones(status: int) -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[status, COMPLETED])  # type: ignore[list-item]
            code, details = await code_of(start(server, policy=policy))
            assert code is Code.INVALID_ARGUMENT
            assert details == (
                "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances"
            )

    run(scenario)


@pytest.mark.parametrize("status", [PENDING, TERMINATED])
@pytest.mark.parametrize("action", [ERROR, IGNORE, TERMINATE])
def test_policies_of_old_clients_name_an_action(store_url: str, status: int, action: int) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await put(server, status)
            former = (await state_of(server)).executionId.value
            policy = pb.OrchestrationIdReusePolicy(
                replaceableStatus=[status],  # type: ignore[list-item]
                legacyAction=action,
            )
            if action == ERROR:
                assert (await code_of(start(server, policy=policy)))[0] is Code.ALREADY_EXISTS
            else:
                assert await start(server, policy=policy) == "x"
            replaced = (await state_of(server)).executionId.value != former
            assert replaced is (action == TERMINATE)

    run(scenario)


def test_old_policies_concern_only_the_statuses_they_name() -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            await put(server, PENDING)
            for action in (IGNORE, TERMINATE):
                policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[COMPLETED], legacyAction=action)
                assert (await code_of(start(server, policy=policy)))[0] is Code.ALREADY_EXISTS

    run(scenario)


def test_of_many_starts_with_one_id_one_wins(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            ended = await asyncio.gather(*(start(server) for _ in range(20)), return_exceptions=True)
            assert ended.count("x") == 1
            assert all(e == "x" or (isinstance(e, grpc.RpcError) and e.code() is Code.ALREADY_EXISTS) for e in ended)

    run(scenario)


def test_a_server_may_give_the_ids_of_finished_instances_away(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url, replaceable=REUSED_IDS["finished"]) as server:
            await put(server, RUNNING)
            assert (await code_of(start(server)))[0] is Code.ALREADY_EXISTS
            await server.client.TerminateInstance(instanceId="x")
            await server.client.WaitForInstanceCompletion(instanceId="x")
            # What a start says of itself wins.
            assert (await code_of(start(server, policy=pb.OrchestrationIdReusePolicy())))[0] is Code.ALREADY_EXISTS
            await start(server)
            assert (await state_of(server)).name == "flow"

    run(scenario)
