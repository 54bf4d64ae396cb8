"""Who is at the other end of a call, by its metadata and its connection."""

from typing import Any

from perdure.execution.remote_items import ItemKind
from perdure.execution.remote_leases import Caller
from perdure.execution.worker_terms import WorkerTerms, WorkFilters, united
from perdure.formats.protobuf import messages as pb

LONGEST_NAME = 200


def caller_of(context: Any) -> Caller:
    """The worker that the call names, if any, and its connection."""
    for key, value in context.invocation_metadata() or ():
        if key == "workerid":
            return Caller(_text(value), context.peer())
    return Caller(None, context.peer())


def terms_of(request: pb.GetWorkItemsRequest, context: Any) -> WorkerTerms:
    """What a worker says when it connects. A kind's limit below 1 counts as none stated."""
    caller = caller_of(context)
    limits = {
        ItemKind.ORCHESTRATION: request.maxConcurrentOrchestrationWorkItems,
        ItemKind.ACTIVITY: request.maxConcurrentActivityWorkItems,
        ItemKind.ENTITY: request.maxConcurrentEntityWorkItems,
    }
    return WorkerTerms(
        worker=caller.worker or caller.peer,
        peer=caller.peer,
        names_itself=caller.worker is not None,
        agent=_agent_of(context),
        limits=(limits[ItemKind.ORCHESTRATION], limits[ItemKind.ACTIVITY], limits[ItemKind.ENTITY]),
        filters=_filters_of(request.workItemFilters) if request.HasField("workItemFilters") else None,
        asks_past=pb.WORKER_CAPABILITY_HISTORY_STREAMING in request.capabilities,
    )


def _filters_of(filters: pb.WorkItemFilters) -> WorkFilters:
    return WorkFilters(
        orchestrations=united((entry.name, entry.versions) for entry in filters.orchestrations),
        activities=united((entry.name, entry.versions) for entry in filters.activities),
        entities=frozenset(entry.name.lower() for entry in filters.entities),
    )


def _agent_of(context: Any) -> str:
    found = {key: value for key, value in context.invocation_metadata() or ()}
    return _text(found.get("x-user-agent") or found.get("user-agent") or "")


def _text(value: str | bytes) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text[:LONGEST_NAME]
