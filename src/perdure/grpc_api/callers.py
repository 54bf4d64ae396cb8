"""Who is at the other end of a call, by its metadata and its connection."""

from perdure.execution.remote_items import ItemKind
from perdure.execution.worker_terms import WorkerTerms, WorkFilters, united
from perdure.formats.protobuf import messages as pb
from perdure.grpc_api.server_calls import ServerCall

LONGEST_NAME = 200


class CallingWorker:
    """See ``Caller``; looked up when it is asked for."""

    __slots__ = ("_context",)

    def __init__(self, context: ServerCall) -> None:
        self._context = context

    @property
    def worker(self) -> str | None:
        """What the call says of its worker."""
        worker = self._context.texts.get("workerid")
        return None if worker is None else worker[:LONGEST_NAME]

    @property
    def peer(self) -> str:
        """Its connection."""
        return self._context.peer()


def terms_of(request: pb.GetWorkItemsRequest, context: ServerCall) -> WorkerTerms:
    """What a worker says when it connects. A kind's limit below 1 counts as none stated."""
    caller = CallingWorker(context)
    worker, peer = caller.worker, caller.peer
    limits = {
        ItemKind.ORCHESTRATION: request.maxConcurrentOrchestrationWorkItems,
        ItemKind.ACTIVITY: request.maxConcurrentActivityWorkItems,
        ItemKind.ENTITY: request.maxConcurrentEntityWorkItems,
    }
    return WorkerTerms(
        worker=worker or peer,
        peer=peer,
        names_itself=worker is not None,
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


def _agent_of(context: ServerCall) -> str:
    return (context.texts.get("x-user-agent") or context.texts.get("user-agent") or "")[:LONGEST_NAME]
