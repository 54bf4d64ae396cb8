"""The worker's half of a rewind: a server that keeps histories as they are asks for the one to go on from.

Ours rewrites histories itself; others send ``executionRewound`` after the failed history (grpc.md §9.2).
"""

import uuid
from collections.abc import Sequence

from perdure.formats.protobuf import messages as pb

_DROPPED = frozenset({"taskFailed", "subOrchestrationInstanceFailed", "executionCompleted"})


def is_rewind(new_events: Sequence[pb.HistoryEvent]) -> bool:
    """Whether the server asks for nothing but the rewound history."""
    kinds = [event.WhichOneof("eventType") for event in new_events]
    return "executionRewound" in kinds and set(kinds) <= {"orchestratorStarted", "executionRewound"}


def rewound_history(request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
    """The answer: the history without the failure and the activity calls that failed, under a new execution id.

    Calls of children stay, since the server rewinds the children themselves.
    """
    events = [*request.pastEvents, *request.newEvents]
    failed = {e.taskFailed.taskScheduledId for e in events if e.WhichOneof("eventType") == "taskFailed"}
    # A retried call uses one id again and again: what succeeded in the end keeps its last asking.
    done = {e.taskCompleted.taskScheduledId for e in events if e.WhichOneof("eventType") == "taskCompleted"}
    last = {e.eventId: n for n, e in enumerate(events) if e.WhichOneof("eventType") == "taskScheduled"}
    parent_execution = next(
        (e.executionRewound.parentExecutionId for e in events if e.HasField("executionRewound")), None
    )
    kept: list[pb.HistoryEvent] = []
    for number, event in enumerate(events):
        kind = event.WhichOneof("eventType")
        if kind in _DROPPED:
            continue
        is_failed_call = kind == "taskScheduled" and event.eventId in failed
        if is_failed_call and (event.eventId not in done or last[event.eventId] != number):
            continue
        copy = pb.HistoryEvent()
        copy.CopyFrom(event)
        if kind == "executionStarted":
            copy.executionStarted.orchestrationInstance.executionId.value = uuid.uuid4().hex
            if (
                parent_execution is not None
                and parent_execution.value
                and copy.executionStarted.HasField("parentInstance")
            ):
                copy.executionStarted.parentInstance.orchestrationInstance.executionId.value = parent_execution.value
        kept.append(copy)
    action = pb.OrchestratorAction(id=-1, rewindOrchestration=pb.RewindOrchestrationAction(newHistory=kept))
    return pb.OrchestratorResponse(instanceId=request.instanceId, actions=[action])
