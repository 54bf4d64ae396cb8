"""Steering and removing instances, and the hubs themselves (grpc.md §8, §9)."""

from contextlib import suppress
from typing import Any

from perdure.client import EntityId, InstanceFinished, InvalidInput
from perdure.core.identifiers import is_entity, read_entity_id
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.instances import read_purge_filter
from perdure.formats.protobuf.times import read_duration
from perdure.grpc_api.calls import Call, Unary
from perdure.grpc_api.requests import checked_ids, checked_name, said
from perdure.grpc_api.start_service import restart_instance, start_instance

PURGE_SECONDS_MAX = 3600.0
DEADLINE_SHARE = 0.8
"""So much of a caller's time a purge may use, so that its answer still arrives."""


async def raise_event(request: Any, call: Call) -> Any:
    """Give an orchestration an event; one that has ended takes none, and that is no error."""
    name = checked_name(request.name, "event name")
    with suppress(InstanceFinished):
        await call.client.raise_event(request.instanceId, name, said(request, "input"))
    return pb.RaiseEventResponse()


async def terminate_instance(request: Any, call: Call) -> Any:
    """End an orchestration; its children too when asked, also those of one that has ended."""
    output = said(request, "output")
    try:
        await call.client.terminate(request.instanceId, output, request.recursive)
    except InstanceFinished:
        if request.recursive:
            await call.client.terminate_descendants(request.instanceId, output)
    return pb.TerminateResponse()


async def suspend_instance(request: Any, call: Call) -> Any:
    """Hold an orchestration back; one that has ended stays as it is."""
    with suppress(InstanceFinished):
        await call.client.suspend(request.instanceId, said(request, "reason"))
    return pb.SuspendResponse()


async def resume_instance(request: Any, call: Call) -> Any:
    """Let an orchestration go on; one that has ended stays as it is."""
    with suppress(InstanceFinished):
        await call.client.resume(request.instanceId, said(request, "reason"))
    return pb.ResumeResponse()


async def rewind_instance(request: Any, call: Call) -> Any:
    """Let a failed orchestration go on from before its failure."""
    await call.client.rewind(request.instanceId, said(request, "reason"))
    return pb.RewindInstanceResponse()


async def purge_instances(request: Any, call: Call) -> Any:
    """Remove finished orchestrations by id or by filter; what is missing or running is not counted."""
    match request.WhichOneof("request"):
        case "instanceId":
            count, is_complete = await _purge_ids([request.instanceId], request, call), True
        case "instanceBatch":
            count, is_complete = await _purge_ids(checked_ids(request.instanceBatch), request, call), True
        case "purgeInstanceFilter":
            filter_ = request.purgeInstanceFilter
            purged = await call.client.purge_for(
                read_purge_filter(filter_), _purge_seconds(filter_, call), request.recursive
            )
            count, is_complete = purged.count, purged.is_complete
        case _:
            raise InvalidInput("A purge names an instance, a batch of instances or a filter.")
    answer = pb.PurgeInstancesResponse(deletedInstanceCount=count)
    answer.isComplete.value = is_complete
    return answer


async def _purge_ids(ids: list[str], request: Any, call: Call) -> int:
    entities: list[EntityId] = []
    if not request.isOrchestration:
        entities = [read_entity_id(instance_id) for instance_id in ids if is_entity(instance_id)]
    count = await call.client.purge_known([i for i in ids if not is_entity(i)], request.recursive)
    for entity_id in entities:
        count += await call.client.purge_entity(entity_id)
    return count


def _purge_seconds(filter_: Any, call: Call) -> float:
    seconds = PURGE_SECONDS_MAX
    if filter_.HasField("timeout"):
        seconds = read_duration(filter_.timeout, "timeout").total_seconds()
        if seconds <= 0:
            raise InvalidInput("The timeout of a purge must be more than nothing.")
    left = call.seconds_left()
    return seconds if left is None else min(seconds, left * DEADLINE_SHARE)


async def skip_graceful_terminations(request: Any, call: Call) -> Any:
    """Make orchestrations Terminated at once; answers those that could not be."""
    ids = checked_ids(request.instanceBatch)
    left = await call.client.terminate_now(ids, said(request, "reason"))
    return pb.SkipGracefulOrchestrationTerminationsResponse(unterminatedInstanceIds=left)


async def create_task_hub(request: Any, call: Call) -> Any:
    """Make the hub that the header names."""
    await call.hubs.create(call.hub_name, recreate=request.recreateIfExists)
    return pb.CreateTaskHubResponse()


async def delete_task_hub(request: Any, call: Call) -> Any:
    """Delete the hub that the header names, with everything in it."""
    await call.hubs.drop(call.hub_name)
    return pb.DeleteTaskHubResponse()


MANAGEMENT_CALLS: dict[str, Unary] = {
    "StartInstance": start_instance,
    "RestartInstance": restart_instance,
    "RewindInstance": rewind_instance,
    "RaiseEvent": raise_event,
    "TerminateInstance": terminate_instance,
    "SuspendInstance": suspend_instance,
    "ResumeInstance": resume_instance,
    "PurgeInstances": purge_instances,
    "SkipGracefulOrchestrationTerminations": skip_graceful_terminations,
    "CreateTaskHub": create_task_hub,
    "DeleteTaskHub": delete_task_hub,
}
