"""What is written of one instance: its state and its events. The same instance always gives the same bytes."""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from durabletask.extensions.history_export.options import ExportFormat, ExportFormatKind
from durabletask.extensions.history_export.times import round_trip_text, text_of
from durabletask.failures import FailureDetails
from durabletask.history import HistoryEvent
from durabletask.states import OrchestrationState

CONTENT_TYPES = {ExportFormatKind.JSON: "application/json", ExportFormatKind.JSONL_GZIP: "application/x-ndjson"}
CONTENT_ENCODINGS = {ExportFormatKind.JSON: None, ExportFormatKind.JSONL_GZIP: "gzip"}
_ENDINGS = {ExportFormatKind.JSON: ".json", ExportFormatKind.JSONL_GZIP: ".jsonl.gz"}


def name_of(state: OrchestrationState, form: ExportFormat, prefix: str | None) -> str:
    """The document's name: another one when the instance was run again and has ended once more."""
    about = f"{round_trip_text(state.last_updated_at)}|{state.instance_id}"
    name = hashlib.sha256(about.encode()).hexdigest() + _ENDINGS[form.kind]
    return f"{prefix.rstrip('/')}/{name}" if prefix else name


def document_of(state: OrchestrationState, events: Sequence[HistoryEvent], form: ExportFormat) -> bytes:
    """The document."""
    head = {"schema_version": form.schema_version, "instance_id": state.instance_id, "metadata": _state(state)}
    shown = [{"event_type": type(event).__name__, **event.to_dict()} for event in events]
    if form.kind is ExportFormatKind.JSON:
        return _json({**head, "events": shown}).encode()
    lines = [_json({**head, "kind": "metadata"}), *(_json(event) for event in shown)]
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def _state(state: OrchestrationState) -> dict[str, Any]:
    failure = state.failure_details
    return {
        "instance_id": state.instance_id,
        "name": state.name,
        "runtime_status": state.runtime_status.name,
        "created_at": text_of(state.created_at),
        "last_updated_at": text_of(state.last_updated_at),
        "serialized_input": state.serialized_input,
        "serialized_output": state.serialized_output,
        "serialized_custom_status": state.serialized_custom_status,
        "failure_details": None if failure is None else _failure(failure),
    }


def _failure(failure: FailureDetails) -> dict[str, Any]:
    return {
        "message": failure.message,
        "error_type": failure.error_type,
        "stack_trace": failure.stack_trace,
        "inner_failure": None if failure.inner_failure is None else _failure(failure.inner_failure),
        "properties": None if failure.properties is None else dict(failure.properties),
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
