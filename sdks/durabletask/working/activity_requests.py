"""A run of an activity as the message that a server sends of it. Importing this imports protobuf."""

from perdure.core.registry import ActivityCall
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.traces import write_trace


def request_of(call: ActivityCall) -> pb.ActivityRequest:
    """The request; the execution's id is not known here."""
    request = pb.ActivityRequest(name=call.name, taskId=call.task_id, tags=call.tags or {})
    request.orchestrationInstance.instanceId = call.instance_id
    if call.input is not None:
        request.input.value = call.input
        request.input.SetInParent()
    if call.version is not None:
        request.version.value = call.version
        request.version.SetInParent()
    if call.trace_context is not None:
        request.parentTraceContext.CopyFrom(write_trace(call.trace_context))
    return request
