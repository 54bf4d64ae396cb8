"""What history export needs of a function app: its job entity, and activities that ask the app's own hub."""

from collections.abc import Callable, Mapping
from typing import Any

from azure.durable_functions.sync_functions_client import SyncDurableFunctionsClient
from durabletask.extensions.history_export import (
    ExportJobEntity,
    ExportMode,
    HistoryExportContext,
    HistoryWriter,
    run_export_instance_history,
    run_list_terminal_instances,
)
from durabletask.extensions.history_export.names import EXPORT_ACTIVITY, LIST_ACTIVITY

Activity = Callable[[dict[str, Any], SyncDurableFunctionsClient], dict[str, Any]]


class BatchExportJob(ExportJobEntity):
    """The entity of a job that ends."""

    def create(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See ``ExportJobEntity``. Raises ValueError for the continuous mode."""
        config: Mapping[str, Any] = payload.get("config") or {}
        if config.get("mode") == ExportMode.CONTINUOUS.value:
            raise ValueError(
                "Function apps export in batches only: create the job with ExportMode.BATCH and completed_time_to."
            )
        return super().create(payload)


def export_activities(writer: HistoryWriter) -> dict[str, Activity]:
    """The two activities by name."""

    def list_terminal_instances(input: dict[str, Any], client: SyncDurableFunctionsClient) -> dict[str, Any]:
        return run_list_terminal_instances(HistoryExportContext(client, writer), input)

    def export_instance_history(input: dict[str, Any], client: SyncDurableFunctionsClient) -> dict[str, Any]:
        return run_export_instance_history(HistoryExportContext(client, writer), input)

    return {LIST_ACTIVITY: list_terminal_instances, EXPORT_ACTIVITY: export_instance_history}
