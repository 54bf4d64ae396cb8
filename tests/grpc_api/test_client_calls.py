"""What clients ask of a server that no worker is connected to (grpc.md §8.1)."""

import grpc
import pytest

from perdure.formats.protobuf import messages as pb
from support.scheduler_server import Scheduler, code_of, run, scheduler, text

Code = grpc.StatusCode
PENDING, RUNNING, TERMINATED, SUSPENDED = (
    pb.ORCHESTRATION_STATUS_PENDING,
    pb.ORCHESTRATION_STATUS_RUNNING,
    pb.ORCHESTRATION_STATUS_TERMINATED,
    pb.ORCHESTRATION_STATUS_SUSPENDED,
)


async def start(server: Scheduler, instance_id: str = "x", **fields: object) -> str:
    answer = await server.client.StartInstance(instanceId=instance_id, name="flow", **fields)
    return answer.instanceId


async def status(server: Scheduler, instance_id: str = "x") -> int:
    answer = await server.client.GetInstance(instanceId=instance_id)
    assert answer.exists
    return answer.orchestrationState.orchestrationStatus


async def terminated(server: Scheduler, instance_id: str) -> None:
    await start(server, instance_id)
    await server.client.TerminateInstance(instanceId=instance_id, output=text('"over"'))
    answer = await server.client.WaitForInstanceCompletion(instanceId=instance_id)
    assert answer.orchestrationState.orchestrationStatus == TERMINATED


def test_hello(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            assert await server.client.Hello() == pb.Empty()

    run(scenario)


def test_an_unknown_instance_and_an_unknown_entity_do_not_exist(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            assert not (await server.client.GetInstance(instanceId="nope")).exists
            assert not (await server.client.GetEntity(instanceId="@counter@nope")).exists

    run(scenario)


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        ("RaiseEvent", {"name": "go"}),
        ("SuspendInstance", {}),
        ("ResumeInstance", {}),
        ("TerminateInstance", {}),
        ("RewindInstance", {}),
        ("RestartInstance", {}),
        ("StreamInstanceHistory", {}),
    ],
)
def test_an_unknown_instance_is_not_found(call: str, fields: dict[str, str]) -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            code, details = await code_of(getattr(server.client, call)(instanceId="nope", **fields))
            assert code is Code.NOT_FOUND
            assert "'nope'" in details

    run(scenario)


def test_an_instance_is_terminated_without_any_worker(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await terminated(server, "x")
            answer = await server.client.GetInstance(instanceId="x", getInputsAndOutputs=True)
            assert answer.orchestrationState.output.value == '"over"'
            assert answer.orchestrationState.HasField("completedTimestamp")

    run(scenario)


@pytest.mark.parametrize("call", ["RaiseEvent", "SuspendInstance", "ResumeInstance", "TerminateInstance"])
def test_an_instance_that_has_ended_stays_as_it_is(store_url: str, call: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await terminated(server, "x")
            fields = {"name": "go"} if call == "RaiseEvent" else {}
            await getattr(server.client, call)(instanceId="x", **fields)
            assert await status(server) == TERMINATED

    run(scenario)


def test_an_instance_is_suspended_and_resumed_without_any_worker(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server)
            await server.client.SuspendInstance(instanceId="x", reason=text("wait"))
            await server.client.SuspendInstance(instanceId="x")
            assert await status(server) == SUSPENDED
            await server.client.ResumeInstance(instanceId="x")
            await server.client.ResumeInstance(instanceId="x")
            assert await status(server) in (RUNNING, PENDING)

    run(scenario)


@pytest.mark.parametrize(
    ("call", "fields", "said"),
    [
        ("StartInstance", {"name": ""}, "name"),
        ("StartInstance", {"name": "flow", "instanceId": "@x"}, "@"),
        ("StartInstance", {"name": "flow", "instanceId": "tab\t"}, "instance id"),
        ("StartInstance", {"name": "flow", "instanceId": "é"}, "ASCII"),
        ("StartInstance", {"name": "flow", "instanceId": "x" * 257}, "257"),
        ("RaiseEvent", {"name": "", "instanceId": "x"}, "name"),
        ("SignalEntity", {"instanceId": "plain", "name": "add"}, "@name@key"),
        ("SignalEntity", {"instanceId": "@counter@a", "name": ""}, "name"),
        ("GetEntity", {"instanceId": "@counter"}, "@name@key"),
        ("PurgeInstances", {}, "names an instance"),
        ("PurgeInstances", {"instanceBatch": {"instanceIds": ["x"] * 501}}, "501"),
        ("SkipGracefulOrchestrationTerminations", {"instanceBatch": {"instanceIds": ["x"] * 501}}, "501"),
        ("QueryInstances", {"query": {"continuationToken": {"value": "0"}}}, "token"),
        ("QueryInstances", {"query": {"runtimeStatus": [99]}}, "status"),
        ("ListInstanceIds", {"lastInstanceKey": {"value": "forged"}}, "token"),
    ],
)
def test_invalid_arguments_are_named(call: str, fields: dict[str, object], said: str) -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            code, details = await code_of(getattr(server.client, call)(**fields))
            assert (code, said in details) == (Code.INVALID_ARGUMENT, True), details

    run(scenario)


def test_bytes_that_are_no_message_are_refused() -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            code, details = await code_of(server.client.StartInstance(b"\xff\xff\xff"))
            assert (code, details) == (Code.INVALID_ARGUMENT, "The request is not a message of this call.")
            assert await start(server) == "x"

    run(scenario)


def test_a_payload_over_the_limit_is_refused_with_its_size() -> None:
    async def scenario() -> None:
        async with scheduler("memory:", payload_bytes_max=1000) as server:
            await start(server, "fits", input=text('"' + "x" * 998 + '"'))
            code, details = await code_of(start(server, "large", input=text('"' + "x" * 999 + '"')))
            assert code is Code.INVALID_ARGUMENT
            assert details == "The input has 1,001 bytes; at most 1,000 are allowed."

    run(scenario)


def test_a_message_over_the_receive_limit_is_refused_by_the_server() -> None:
    async def scenario() -> None:
        async with scheduler("memory:", receive_bytes_max=100_000) as server:
            code, _ = await code_of(start(server, "large", input=text("x" * 200_000)))
            assert code is Code.RESOURCE_EXHAUSTED
            assert await start(server) == "x"

    run(scenario)


def test_calls_that_the_service_does_not_have_are_unimplemented() -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            for path in ("/TaskHubSidecarService/Nothing", "/microsoft.durabletask.sandboxes.SandboxActivities/Run"):
                code, _ = await code_of(server.client.channel.unary_unary(path)(b""))
                assert code is Code.UNIMPLEMENTED

    run(scenario)


def test_only_failed_instances_are_rewound(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await terminated(server, "ended")
            await start(server, "waiting")
            for instance_id in ("ended", "waiting"):
                code, details = await code_of(server.client.RewindInstance(instanceId=instance_id))
                assert code is Code.FAILED_PRECONDITION
                assert "only failed instances" in details

    run(scenario)


def test_an_ended_instance_is_restarted_under_its_own_id(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await server.client.StartInstance(
                instanceId="x", name="flow", input=text("[1]"), version=text("1.2"), tags={"a": "b"}
            )
            code, details = await code_of(server.client.RestartInstance(instanceId="x"))
            assert code is Code.FAILED_PRECONDITION
            assert "has not ended" in details
            await server.client.TerminateInstance(instanceId="x")
            await server.client.WaitForInstanceCompletion(instanceId="x")
            assert (await server.client.RestartInstance(instanceId="x")).instanceId == "x"
            state = (await server.client.GetInstance(instanceId="x", getInputsAndOutputs=True)).orchestrationState
            assert (state.name, state.input.value, state.version.value, dict(state.tags)) == (
                "flow", "[1]", "1.2", {"a": "b"}
            )  # fmt: skip
            assert state.orchestrationStatus == PENDING

    run(scenario)


def test_an_instance_is_restarted_under_a_new_id_in_any_state(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server)
            answer = await server.client.RestartInstance(instanceId="x", restartWithNewInstanceId=True)
            assert len(answer.instanceId) == 32
            assert await status(server, answer.instanceId) == PENDING
            assert await status(server) == PENDING

    run(scenario)
