"""History export in a function app: a job over the app's own hub writes one document for each ended orchestration."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from azure.durable_functions.history_export import BatchExportJob
from azure.durable_functions.testing import execute_entity
from durabletask.extensions.history_export import (
    ExportDestination,
    ExportFilter,
    ExportFormat,
    ExportJobConfiguration,
    ExportMode,
)
from support.host_apps import write_app
from support.host_process import HostProcess

SOURCE = """
import json
from datetime import datetime, timedelta, timezone
from durabletask.extensions.history_export import (
    AsyncExportHistoryClient, ExportDestination, ExportJobCreationOptions, ExportMode, FileHistoryWriter,
)

writer = FileHistoryWriter("exported")
app.configure_history_export(writer)


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("step", "x"))


@app.activity_trigger(input_name="text")
def step(text: str) -> str:
    return text * 2


@app.route(route="export/{mode}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def export(req: func.HttpRequest, client: df.DurableFunctionsClient):
    mode = ExportMode[req.route_params["mode"]]
    jobs = AsyncExportHistoryClient(client, writer)
    now = datetime.now(timezone.utc)
    options = ExportJobCreationOptions(
        mode=mode,
        completed_time_from=now - timedelta(hours=1),
        completed_time_to=now if mode is ExportMode.BATCH else None,
        destination=ExportDestination("histories"),
    )
    job = await jobs.create_job(options, job_id=mode.name.lower())
    try:
        done = await jobs.wait_for_job(job.job_id, timeout=20, poll_interval=0.05)
    except Exception as error:
        return func.HttpResponse(f"{type(error).__name__}: {error}", status_code=400)
    return func.HttpResponse(json.dumps([done.status.name, done.exported_instances, done.failed_instances]))
"""


def test_a_job_writes_what_has_ended(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", SOURCE)
    with HostProcess(app) as host:
        links = host.start_instance("/runtime/webhooks/durabletask/orchestrators/chain")
        assert host.completed(links)["output"] == "xx"
        answer = host.http.post("/api/export/BATCH", timeout=30)
        assert (answer.status_code, answer.json()) == (200, ["COMPLETED", 1, 0]), answer.text
    [document] = (app / "exported" / "histories").glob("*.jsonl.gz")
    lines = [json.loads(line) for line in gzip.decompress(document.read_bytes()).splitlines()]
    assert links["id"] in json.dumps(lines)


def test_continuous_jobs_are_refused() -> None:
    payload = {
        "config": ExportJobConfiguration(
            ExportMode.CONTINUOUS,
            ExportFilter(datetime(2026, 1, 1, tzinfo=UTC)),
            ExportDestination("histories"),
            ExportFormat(),
        ).to_dict()
    }
    with pytest.raises(ValueError, match="in batches only"):
        execute_entity(BatchExportJob, "create", payload)
