"""What scalers and workers that are about to leave ask (grpc.md §14)."""

from collections.abc import Iterable
from typing import Any

from perdure.contracts.executor import ServedKind
from perdure.contracts.work_load import WorkLoad
from perdure.formats.protobuf import backend_messages as pb
from perdure.grpc_api.callers import CallingWorker
from perdure.grpc_api.calls import Call, Unary

INT32_MAX = 2**31 - 1


async def get_metrics(request: Any, call: Call) -> Any:
    """How much work of the hub waits for workers, and how much they have."""
    executor = call.hub.work_items.executor
    loads = executor.work_loads()
    workers = len({terms.worker for terms in executor.connected()})
    return pb.GetMetricsResponse(
        metrics=pb.BackendMetrics(
            activityWorkItems=_metrics(loads, ServedKind.ACTIVITY),
            orchestratorWorkItems=_metrics(loads, ServedKind.ORCHESTRATOR),
            entityWorkItems=_metrics(loads, ServedKind.ENTITY),
            connectedWorkers=pb.ConnectedWorkerMetrics(count=workers),
        )
    )


def _metrics(loads: Iterable[WorkLoad], kind: ServedKind) -> pb.WorkItemMetrics:
    mine = [load for load in loads if load.kind is kind]
    oldest = max((load.oldest_seconds or 0.0 for load in mine), default=0.0)
    return pb.WorkItemMetrics(
        pending=min(sum(load.pending for load in mine), INT32_MAX),
        active=min(sum(load.active for load in mine), INT32_MAX),
        oldestAgeInSeconds=min(int(oldest), INT32_MAX),
    )


async def begin_worker_drain(request: Any, call: Call) -> Any:
    """Hand the calling worker nothing more; its stream stays open until it ends it."""
    found = call.hub.work_items.executor.drain_worker(CallingWorker(call.context))
    return pb.BeginWorkerDrainResponse(workerFound=found)


BACKEND_CALLS: dict[str, Unary] = {"GetMetrics": get_metrics, "BeginWorkerDrain": begin_worker_drain}
