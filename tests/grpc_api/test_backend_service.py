"""What scalers and leaving workers ask (grpc.md §14)."""

from typing import Any

import grpc
import pytest

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.backend_service import RPCS
from perdure.grpc_api.access import Role, Standing
from support.grpc_worker import Worker, completes
from support.scheduler_server import RawClient, code_of, run, scheduler


class Doorkeeper:
    """Knows one token for each role."""

    def standing(self, token: str) -> Standing | None:
        return Standing(Role(token), frozenset({"default"})) if token in ROLES else None


ROLES = {role.value for role in Role}


async def figures_of(client: RawClient) -> dict[str, tuple[int, ...]]:
    metrics = (await client.GetMetrics()).metrics
    found = {
        field: tuple(getattr(getattr(metrics, field), part) for part in ("pending", "active", "oldestAgeInSeconds"))
        for field in ("orchestratorWorkItems", "activityWorkItems", "entityWorkItems")
    }
    return {**found, "workers": (metrics.connectedWorkers.count,)}


async def reaches(client: RawClient, **expected: tuple[int, ...]) -> None:
    """Wait for these figures, the ages left out; a start is acknowledged before its turn is offered."""
    wanted = {"orchestratorWorkItems": (0, 0), "activityWorkItems": (0, 0), "entityWorkItems": (0, 0), "workers": (0,)}
    wanted.update(expected)
    while {field: figures[:2] for field, figures in (await figures_of(client)).items()} != wanted:
        pass


NOTHING: dict[str, tuple[int, ...]] = {
    "orchestratorWorkItems": (0, 0, 0),
    "activityWorkItems": (0, 0, 0),
    "entityWorkItems": (0, 0, 0),
    "workers": (0,),
}


def test_a_scaler_reads_how_much_work_there_is(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url, hubs=("default", "other")) as server:
            client = server.client
            assert await figures_of(client) == NOTHING
            await client.StartInstance(instanceId="a", name="flow")
            await client.StartInstance(instanceId="b", name="flow")
            await client.SignalEntity(instanceId="@counter@a", name="add", requestId="")
            await reaches(client, orchestratorWorkItems=(2, 0), entityWorkItems=(1, 0))
            assert await figures_of(client.to(taskhub="other")) == NOTHING
            async with Worker(client) as worker:
                items = [await worker.next_item() for _ in range(3)]
                assert await figures_of(client) == {
                    **NOTHING, "orchestratorWorkItems": (0, 2, 0), "entityWorkItems": (0, 1, 0), "workers": (1,)
                }  # fmt: skip
                for item in items:
                    if item.WhichOneof("request") == "orchestratorRequest":
                        await worker.complete_turn(item, completes(1))
                    else:
                        await worker.complete_entity(item, state="1")
                await reaches(client, workers=(1,))

    run(scenario)


def test_a_draining_worker_gets_nothing_more_and_may_finish(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            client = server.client
            async with Worker(client) as leaving, Worker(client) as staying:
                await reaches(client, workers=(2,))
                await client.StartInstance(instanceId="a", name="flow")
                await client.StartInstance(instanceId="b", name="flow")
                held = await leaving.next_turn()
                assert (await leaving.client.BeginWorkerDrain()).workerFound
                assert not (await client.to(workerid="nobody").BeginWorkerDrain()).workerFound
                ids = {(await staying.next_turn()).orchestratorRequest.instanceId}
                for number in range(20):
                    await client.StartInstance(instanceId=f"c{number}", name="flow")
                    ids.add((await staying.next_turn()).orchestratorRequest.instanceId)
                assert len(ids) == 21
                await leaving.complete_turn(held, completes(1, '"done"'))
                ended = await client.WaitForInstanceCompletion(instanceId=held.orchestratorRequest.instanceId)
                assert ended.orchestrationState.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED

    run(scenario)


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ("GetMetrics", {Role.READER, Role.CONTRIBUTOR, Role.ADMIN}),
        ("BeginWorkerDrain", {Role.WORKER, Role.CONTRIBUTOR, Role.ADMIN}),
    ],
)
def test_tokens_decide_here_too(call: str, allowed: set[Role]) -> None:
    async def scenario() -> None:
        async with scheduler("memory:", doorkeeper=Doorkeeper(), hubs=("default", "other")) as server:

            def ask(**headers: str) -> Any:
                return getattr(server.client.to(**headers), call)()

            assert (await code_of(ask()))[0] is grpc.StatusCode.UNAUTHENTICATED
            for role in Role:
                said = {"authorization": f"Bearer {role.value}"}
                if role in allowed:
                    await ask(**said)
                    assert (await code_of(ask(**said, taskhub="other")))[0] is grpc.StatusCode.NOT_FOUND
                else:
                    assert (await code_of(ask(**said)))[0] is grpc.StatusCode.PERMISSION_DENIED

    run(scenario)


def test_the_rest_of_that_service_is_not_here() -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            path = RPCS["GetMetrics"].path.replace("GetMetrics", "CreateInstance")
            code, _ = await code_of(server.client.channel.unary_unary(path)(b""))
            assert code is grpc.StatusCode.UNIMPLEMENTED

    run(scenario)
