"""Who is at the other end of a call, by its metadata and its connection."""

from typing import Any

from perdure.execution.remote_items import ItemKind
from perdure.execution.worker_terms import WorkerTerms, WorkFilters, united
from perdure.formats.protobuf import messages as pb

LONGEST_NAME = 200


class CallingWorker:
    """See ``Caller``; looked up when it is asked for."""

    __slots__ = ("_context",)

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def worker(self) -> str | None:
        """What the call says of its worker."""
        return next(
            (_text(value) for key, value in self._context.invocation_metadata() or () if key == "workerid"), None
        )

    @property
    def peer(self) -> str:
        """Its connection."""
        return self._context.peer()


def terms_of(request: pb.GetWorkItemsRequest, context: Any) -> WorkerTerms:
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


def _agent_of(context: Any) -> str:
    found = {key: value for key, value in context.invocation_metadata() or ()}
    return _text(found.get("x-user-agent") or found.get("user-agent") or "")


def _text(value: str | bytes) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text[:LONGEST_NAME]
