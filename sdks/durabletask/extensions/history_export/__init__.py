"""Histories of orchestrations that have ended, exported by a durable job (portable-sdk.md §12).

A job is an entity that keeps its progress, and an orchestration that lists ended instances page by page and lets
activities write one document for each. ``azure_blob`` writes to blobs and needs ``pip install 'perdure[azure]'``.
"""

from durabletask.extensions.history_export.activities import (
    HistoryExportContext,
    HistoryExportContextResolver,
    build_activities,
    run_export_instance_history,
    run_list_terminal_instances,
)
from durabletask.extensions.history_export.async_client import AsyncExportHistoryClient, AsyncExportHistoryJobClient
from durabletask.extensions.history_export.client import ExportHistoryClient, ExportHistoryJobClient
from durabletask.extensions.history_export.errors import (
    ExportJobError,
    ExportJobInvalidTransitionError,
    ExportJobNotFoundError,
)
from durabletask.extensions.history_export.job_entity import ExportJobEntity
from durabletask.extensions.history_export.job_state import (
    STATE_SCHEMA_VERSION,
    ExportCheckpoint,
    ExportFailure,
    ExportJobDescription,
    ExportJobState,
    ExportJobStatus,
)
from durabletask.extensions.history_export.names import ENTITY_NAME, ORCHESTRATOR_NAME, orchestrator_instance_id_for
from durabletask.extensions.history_export.options import (
    ExportDestination,
    ExportFilter,
    ExportFormat,
    ExportFormatKind,
    ExportJobConfiguration,
    ExportJobCreationOptions,
    ExportJobQuery,
    ExportMode,
)
from durabletask.extensions.history_export.writers import FileHistoryWriter, HistoryWriter

__all__ = [
    "ENTITY_NAME",
    "ORCHESTRATOR_NAME",
    "STATE_SCHEMA_VERSION",
    "AsyncExportHistoryClient",
    "AsyncExportHistoryJobClient",
    "ExportCheckpoint",
    "ExportDestination",
    "ExportFailure",
    "ExportFilter",
    "ExportFormat",
    "ExportFormatKind",
    "ExportHistoryClient",
    "ExportHistoryJobClient",
    "ExportJobConfiguration",
    "ExportJobCreationOptions",
    "ExportJobDescription",
    "ExportJobEntity",
    "ExportJobError",
    "ExportJobInvalidTransitionError",
    "ExportJobNotFoundError",
    "ExportJobQuery",
    "ExportJobState",
    "ExportJobStatus",
    "ExportMode",
    "FileHistoryWriter",
    "HistoryExportContext",
    "HistoryExportContextResolver",
    "HistoryWriter",
    "build_activities",
    "orchestrator_instance_id_for",
    "run_export_instance_history",
    "run_list_terminal_instances",
]
