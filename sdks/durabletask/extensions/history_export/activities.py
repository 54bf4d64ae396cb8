"""The two activities of a job: list a page of instances that have ended, and export one of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from durabletask.extensions.history_export.documents import CONTENT_ENCODINGS, CONTENT_TYPES, document_of, name_of
from durabletask.extensions.history_export.names import EXPORT_ACTIVITY, LIST_ACTIVITY
from durabletask.extensions.history_export.options import TERMINAL, ExportDestination, ExportFormat
from durabletask.extensions.history_export.times import time_of
from durabletask.extensions.history_export.writers import HistoryWriter
from durabletask.history import HistoryEvent
from durabletask.states import OrchestrationState, OrchestrationStatus, Page


class HistoryClient(Protocol):
    """What is asked of a client whose calls block."""

    def list_instance_ids(
        self,
        runtime_status: list[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """Ids of orchestrations that have ended."""
        ...

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool = True) -> OrchestrationState | None:
        """One orchestration."""
        ...

    def get_orchestration_history(self, instance_id: str) -> list[HistoryEvent]:
        """Its events."""
        ...


@dataclass
class HistoryExportContext:
    """What the activities work with. The client's calls block: they run on an activity's thread."""

    client: HistoryClient
    writer: HistoryWriter


HistoryExportContextResolver = Callable[[], HistoryExportContext]
"""Asked at each run of an activity."""


def build_activities(
    resolver: HistoryExportContextResolver,
) -> tuple[Callable[[Any, Mapping[str, Any]], Any], Callable[[Any, Mapping[str, Any]], Any]]:
    """The two activities, under the names that a job calls."""

    def list_terminal_instances(_: Any, input: Mapping[str, Any]) -> dict[str, Any]:
        return run_list_terminal_instances(resolver(), input)

    def export_instance_history(_: Any, input: Mapping[str, Any]) -> dict[str, Any]:
        return run_export_instance_history(resolver(), input)

    list_terminal_instances.__name__, export_instance_history.__name__ = LIST_ACTIVITY, EXPORT_ACTIVITY
    return list_terminal_instances, export_instance_history


def run_list_terminal_instances(context: HistoryExportContext, input: Mapping[str, Any]) -> dict[str, Any]:
    """One page: ``instance_ids`` and the next page's ``continuation_token``. Raises what the client raises."""
    statuses, page_size = input.get("runtime_status"), input.get("page_size")
    begin = time_of(input.get("completed_time_from"))
    if begin is None:
        raise ValueError("A page of instances is asked for with completed_time_from.")
    page = context.client.list_instance_ids(
        runtime_status=None if statuses is None else [OrchestrationStatus[name] for name in statuses],
        completed_time_from=begin,
        completed_time_to=time_of(input.get("completed_time_to")),
        page_size=None if page_size is None else int(page_size),
        continuation_token=input.get("continuation_token"),
    )
    return {"instance_ids": list(page.items), "continuation_token": page.continuation_token}


def run_export_instance_history(context: HistoryExportContext, input: Mapping[str, Any]) -> dict[str, Any]:
    """Export one instance: ``instance_id``, ``success``, and the ``error`` of one that failed. Raises ValueError for
    an input without a destination.
    """
    instance_id = str(input["instance_id"])
    form = ExportFormat() if input.get("format") is None else ExportFormat.from_dict(input["format"])
    given: Mapping[str, Any] = input.get("destination") or {}
    destination = ExportDestination(str(given.get("container") or ""), given.get("prefix"))
    try:
        _export(context, instance_id, form, destination)
    except Exception as error:  # the job tries again, and tells of it: one instance must not end the whole export
        return {"instance_id": instance_id, "success": False, "error": f"{type(error).__name__}: {error}"}
    return {"instance_id": instance_id, "success": True, "error": None}


def _export(
    context: HistoryExportContext, instance_id: str, form: ExportFormat, destination: ExportDestination
) -> None:
    state = context.client.get_orchestration_state(instance_id, fetch_payloads=True)
    if state is None:
        raise LookupError(f"The instance '{instance_id}' is gone; was it purged?")
    if state.runtime_status not in TERMINAL:
        raise ValueError(f"The instance '{instance_id}' runs again: it is {state.runtime_status.name}.")
    events = context.client.get_orchestration_history(instance_id)
    context.writer.write(
        instance_id=instance_id,
        container=destination.container,
        blob_name=name_of(state, form, destination.prefix),
        payload=document_of(state, events, form),
        content_type=CONTENT_TYPES[form.kind],
        content_encoding=CONTENT_ENCODINGS[form.kind],
        metadata={"instance_id": instance_id},
    )
