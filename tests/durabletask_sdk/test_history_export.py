"""Export jobs: histories of orchestrations that have ended, as documents in files and blobs."""

import asyncio
import gzip
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from durabletask import task
from durabletask.azuremanaged import (
    AsyncDurableTaskSchedulerClient,
    DurableTaskSchedulerClient,
    DurableTaskSchedulerWorker,
)
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.extensions.history_export import (
    ENTITY_NAME,
    AsyncExportHistoryClient,
    ExportDestination,
    ExportFilter,
    ExportFormat,
    ExportFormatKind,
    ExportHistoryClient,
    ExportJobConfiguration,
    ExportJobCreationOptions,
    ExportJobDescription,
    ExportJobNotFoundError,
    ExportJobQuery,
    ExportJobState,
    ExportJobStatus,
    ExportMode,
    FileHistoryWriter,
    HistoryWriter,
    orchestrator_instance_id_for,
)
from durabletask.extensions.history_export.azure_blob import (
    AzureBlobHistoryExportWriter,
    AzureBlobHistoryExportWriterOptions,
)
from durabletask.extensions.history_export.times import round_trip_text
from durabletask.testing import create_test_backend, replay
from support.blob_server import BlobServer

QUIET = logging.NullHandler()
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)
WINDOW = {"mode": ExportMode.BATCH, "completed_time_from": LONG_AGO, "completed_time_to": LATER}


def said(ctx: task.OrchestrationContext, value: Any) -> Any:
    return (yield ctx.call_activity("echo", input=value))


def fails(ctx: task.OrchestrationContext, value: Any) -> Any:
    raise ValueError(f"no {value}")


def waits(ctx: task.OrchestrationContext, value: Any) -> Any:
    yield ctx.wait_for_external_event("go")


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


@contextmanager
def exporting(text: str, writer: HistoryWriter) -> Iterator[tuple[TaskHubGrpcClient, ExportHistoryClient]]:
    """A worker that exports, and clients."""
    with (
        DurableTaskSchedulerWorker(text, log_handler=QUIET) as worker,
        DurableTaskSchedulerClient(text, mode="sync", log_handler=QUIET) as client,
    ):
        exports = ExportHistoryClient(client, writer)
        exports.register_worker(worker)
        for code in (said, fails, waits):
            worker.add_orchestrator(code)
        worker.add_activity(echo)
        worker.start().wait(20)
        yield client, exports


def run(client: TaskHubGrpcClient, code: Any, value: Any) -> str:
    instance_id = client.schedule_new_orchestration(code, input=value)
    client.wait_for_orchestration_completion(instance_id, timeout=20)
    return instance_id


def options(**said: Any) -> ExportJobCreationOptions:
    return ExportJobCreationOptions(**{"destination": ExportDestination("exports"), **WINDOW, **said})


def documents(folder: Path) -> dict[str, dict[str, Any]]:
    """What was exported, by instance."""
    found: dict[str, dict[str, Any]] = {}
    for path in folder.rglob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        found[document["instance_id"]] = document
    return found


@pytest.fixture(params=["embedded", "grpc"])
def text(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A hub's connection string."""
    if request.param == "embedded":
        yield f"Endpoint=embedded://{tmp_path.name}"
        return
    backend = create_test_backend(port=0)
    yield f"Endpoint=http://{backend.address};Authentication=None"
    backend.stop()


def test_a_batch_exports_what_has_ended(text: str, tmp_path: Path) -> None:
    with exporting(text, FileHistoryWriter(tmp_path)) as (client, exports):
        ended = [run(client, said, f"\u00e4{n}") for n in range(5)] + [run(client, fails, "x")]
        client.schedule_new_orchestration(waits, instance_id="waiting")
        created = exports.create_job(
            options(
                format=ExportFormat(ExportFormatKind.JSON), max_instances_per_batch=2, max_parallel_exports=1,
                destination=ExportDestination("exports", "below/"),
            )
        )  # fmt: skip
        assert created.status is ExportJobStatus.ACTIVE
        job = exports.get_job_client(created.job_id).wait(timeout=30, poll_interval=0.02)
        assert (job.status, job.last_error, job.failures) == (ExportJobStatus.COMPLETED, None, [])
        assert job.exported_instances == job.scanned_instances
        assert job.failed_instances == 0
        found = documents(tmp_path / "exports" / "below")
        assert set(ended) <= set(found)
        assert "waiting" not in found
        assert job.exported_instances == len(found)
        document = found[ended[3]]
        assert document["schema_version"] == "1.0"
        assert document["metadata"]["runtime_status"] == "COMPLETED"
        assert json.loads(document["metadata"]["serialized_output"]) == "\u00e43"
        replay(said, document["events"]).raise_if_diverged()
        assert "no x" in found[ended[5]]["metadata"]["failure_details"]["message"]
        shown = [{"event_type": type(e).__name__, **e.to_dict()} for e in client.get_orchestration_history(ended[0])]
        assert found[ended[0]]["events"] == json.loads(json.dumps(shown))


def test_lines_are_the_default_and_statuses_choose(text: str, tmp_path: Path) -> None:
    with exporting(text, FileHistoryWriter(tmp_path)) as (client, exports):
        run(client, said, 1)
        failed = run(client, fails, "x")
        job_id = exports.create_job(options(runtime_status=[OrchestrationStatus.FAILED]), job_id="failures").job_id
        job = exports.wait_for_job(job_id, timeout=30, poll_interval=0.02)
        assert job.exported_instances == 1
        (path,) = (tmp_path / "exports").iterdir()
        assert path.name.endswith(".jsonl.gz")
        head, *events = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        assert (head["kind"], head["instance_id"]) == ("metadata", failed)
        assert events[-1]["event_type"] == "ExecutionCompletedEvent"
        replay(fails, [head, *events]).raise_if_diverged()


def test_jobs_are_listed_begun_anew_and_deleted(text: str, tmp_path: Path) -> None:
    with exporting(text, FileHistoryWriter(tmp_path)) as (client, exports):
        assert exports.get_job("none") is None
        for _ in range(2):
            created = exports.create_job(options(), job_id="again")
            wait_until(partial(was_begun, exports, created))
            job = exports.wait_for_job("again", timeout=30, poll_interval=0.02)
            assert job.status is ExportJobStatus.COMPLETED
        assert [job.job_id for job in exports.list_jobs()] == ["again"]
        assert list(exports.list_jobs(ExportJobQuery(status=[ExportJobStatus.ACTIVE]))) == []
        exports.cancel_job("again")
        wait_until(lambda: exports.get_job("again") is None)
        assert client.get_orchestration_state(orchestrator_instance_id_for("again")) is None
        exports.delete_job("never was")
        with pytest.raises(ExportJobNotFoundError, match="no export job 'again'"):
            exports.wait_for_job("again", timeout=0.1, poll_interval=0.02)
        with pytest.raises(ValueError, match="must be positive"):
            exports.wait_for_job("again", timeout=0)


def test_async_clients_do_the_same(text: str, tmp_path: Path) -> None:
    async def scenario(exports: AsyncExportHistoryClient) -> None:
        await exports.create_job(options(), job_id="async")
        job = exports.get_job_client("async")
        assert job.orchestrator_instance_id == "export-job-async"
        ended = await job.wait(timeout=30, poll_interval=0.02)
        assert ended.status is ExportJobStatus.COMPLETED
        assert await job.describe() == ended
        assert [found.job_id async for found in exports.list_jobs()] == ["async"]
        await job.delete()
        await exports.cancel_job("never was")
        while await exports.get_job("async") is not None:
            pass
        with pytest.raises(ExportJobNotFoundError):
            await exports.wait_for_job("async", timeout=0.01, poll_interval=0.01)

    async def with_client() -> None:
        async with AsyncDurableTaskSchedulerClient(text, log_handler=QUIET) as client:
            await scenario(AsyncExportHistoryClient(client, FileHistoryWriter(tmp_path)))

    with exporting(text, FileHistoryWriter(tmp_path)):
        asyncio.run(with_client())


class Stubborn:
    """Refuses the first so many documents of an instance."""

    def __init__(self, refusals: int) -> None:
        self._left = refusals
        self._lock = threading.Lock()
        self.written: list[str] = []

    def write(self, *, instance_id: str, **document: Any) -> None:
        with self._lock:
            if self._left > 0:
                self._left -= 1
                raise OSError("the disk is full")
            self.written.append(instance_id)


def was_begun(exports: ExportHistoryClient, created: ExportJobDescription) -> bool:
    """Whether the job is the one that was created, and not its predecessor of the same id."""
    job = exports.get_job(created.job_id)
    return job is not None and job.created_at == created.created_at


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline


@pytest.mark.parametrize(("refusals", "status"), [(2, "Completed"), (3, "Failed")])
def test_what_cannot_be_written_is_tried_again(refusals: int, status: str) -> None:
    writer = Stubborn(refusals)
    backend = create_test_backend(port=0)
    with exporting(f"Endpoint=http://{backend.address};Authentication=None", writer) as (client, exports):
        instance_id = run(client, said, 1)
        exports.create_job(options(), job_id="stubborn")
        deadline = time.monotonic() + 30
        while (job := exports.get_job("stubborn")) is None or job.status is ExportJobStatus.ACTIVE:
            assert time.monotonic() < deadline
            backend.advance_time(timedelta(minutes=5))
            time.sleep(0.01)
    backend.stop()
    assert job.status.value == status
    if status == "Completed":
        assert instance_id in writer.written
        assert job.failures == []
    else:
        assert [failure.instance_id for failure in job.failures] == [instance_id]
        assert job.failures[0].attempt_count == 3
        assert job.last_error is not None
        assert "OSError: the disk is full" in job.last_error


def test_a_continuous_job_goes_on_until_it_is_deleted() -> None:
    writer = Stubborn(0)
    backend = create_test_backend(port=0)
    with exporting(f"Endpoint=http://{backend.address};Authentication=None", writer) as (client, exports):
        first = run(client, said, 1)
        exports.create_job(
            options(mode=ExportMode.CONTINUOUS, completed_time_to=None, max_instances_per_batch=1), job_id="tail"
        )
        wait_until(lambda: first in writer.written)
        later = [run(client, said, n) for n in range(6)]

        def all_are_written() -> bool:
            backend.advance_time(timedelta(minutes=1))
            time.sleep(0.01)
            return set(later) <= set(writer.written)

        wait_until(all_are_written)
        job = exports.get_job("tail")
        assert job is not None
        assert job.status is ExportJobStatus.ACTIVE
        assert len(writer.written) == len(set(writer.written)), "nothing is exported twice"
        exports.delete_job("tail")
        wait_until(lambda: exports.get_job("tail") is None)
    backend.stop()


def test_an_active_job_is_not_created_again(tmp_path: Path) -> None:
    text = f"Endpoint=embedded://{tmp_path.name}"

    def creates(ctx: task.OrchestrationContext, job: dict[str, Any]) -> Any:
        try:
            yield ctx.call_entity(EntityInstanceId(ENTITY_NAME, "busy"), "create", job)
        except task.TaskFailedError as error:
            return str(error)

    with (
        DurableTaskSchedulerWorker(text, log_handler=QUIET) as worker,
        DurableTaskSchedulerClient(text, mode="sync", log_handler=QUIET) as client,
    ):
        exports = ExportHistoryClient(client, FileHistoryWriter(tmp_path))
        exports.register_worker(worker)
        worker.add_orchestrator(creates)
        worker.start()
        config = options(mode=ExportMode.CONTINUOUS, completed_time_to=None).to_configuration().to_dict()
        for expected in (None, "The export job 'busy' is Active: 'create'"):
            instance_id = client.schedule_new_orchestration(creates, input={"config": config})
            state = client.wait_for_orchestration_completion(instance_id, timeout=20)
            assert state is not None
            output = state.get_output()
            assert output is None if expected is None else expected in output
        exports.delete_job("busy")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"completed_time_to": None}, "needs completed_time_to"),
        ({"mode": ExportMode.CONTINUOUS}, "has no completed_time_to"),
        ({"completed_time_to": LONG_AGO}, "must lie after"),
        ({"max_instances_per_batch": 0}, "1 to 1000, not 0"),
        ({"max_instances_per_batch": 1001}, "1 to 1000"),
        ({"max_parallel_exports": 0}, "at least 1"),
        ({"runtime_status": [OrchestrationStatus.RUNNING]}, "holds RUNNING"),
    ],
)
def test_options_that_cannot_be_are_refused(said: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        options(**said).to_configuration()
    with pytest.raises(ValueError, match="needs a container"):
        ExportDestination("")


def test_what_is_kept_is_read_again() -> None:
    config = options(runtime_status=[OrchestrationStatus.FAILED]).to_configuration()
    state = ExportJobState.new(config, created_at=LONG_AGO, orchestrator_instance_id="export-job-1")
    kept = json.loads(json.dumps(state.to_dict()))
    assert kept["schema_version"] == "1.0"
    assert kept["config"]["filter"]["runtime_status"] == [3]
    assert ExportJobState.from_dict(kept) == state
    kept["config"]["filter"]["runtime_status"] = ["FAILED"]
    assert ExportJobState.from_dict(kept) == state
    del kept["config"]["format"]
    assert ExportJobConfiguration.from_dict(kept["config"]) == config
    for wrong in ({**kept, "schema_version": "2.0"}, {**kept, "config": None}, {**kept, "created_at": None}):
        with pytest.raises(ValueError, match="export job's state"):
            ExportJobState.from_dict(wrong)
    assert len(ExportFilter(LONG_AGO).effective_runtime_status()) == 3


def test_times_in_names_are_written_as_dotnet_writes_them() -> None:
    assert round_trip_text(datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)) == "2026-01-02T03:04:05.0006000+00:00"
    assert round_trip_text(datetime(2026, 1, 2)) == "2026-01-02T00:00:00.0000000+00:00"


def test_a_file_outside_the_folder_is_refused(tmp_path: Path) -> None:
    writer = FileHistoryWriter(tmp_path / "in")
    assert isinstance(writer, HistoryWriter)
    document: dict[str, Any] = {"instance_id": "i", "payload": b"x", "content_type": "t", "content_encoding": None}
    for container, name in [("..", "out"), ("a", "../../out"), ("/etc", "out")]:
        with pytest.raises(ValueError, match="lies outside"):
            writer.write(container=container, blob_name=name, **document)
    writer.write(container="a", blob_name="b/c", **document)
    assert (tmp_path / "in" / "a" / "b" / "c").read_bytes() == b"x"


def test_documents_in_blobs() -> None:
    document: dict[str, Any] = {"instance_id": "i", "container": "theirs", "payload": b"x", "content_type": "text/x"}
    with BlobServer() as account:
        said = AzureBlobHistoryExportWriterOptions("mine", account.connection_string)
        with AzureBlobHistoryExportWriter(said) as writer:
            writer.write(blob_name="a/b", content_encoding="gzip", metadata={"instance_id": "i"}, **document)
        blob = account.containers["mine"]["a/b"]
        assert blob.data == b"x"
        assert blob.headers["x-ms-blob-content-type"] == "text/x"
        assert blob.headers["x-ms-blob-content-encoding"] == "gzip"
        assert blob.headers["x-ms-meta-instance_id"] == "i"
        once = AzureBlobHistoryExportWriterOptions("mine", account.connection_string, overwrite=False)
        with AzureBlobHistoryExportWriter(once) as writer, pytest.raises(Exception, match="BlobAlreadyExists"):
            writer.write(blob_name="a/b", content_encoding=None, **document)
    for container, url, error in [
        ("", None, "container_name"),
        ("c", None, "account"),
        ("c", "http://x", "credential"),
    ]:
        with pytest.raises(ValueError, match=error):
            AzureBlobHistoryExportWriterOptions(container, account_url=url)
