"""Clients of export jobs for programs that wait for each call."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from durabletask.client import TaskHubGrpcClient
from durabletask.extensions.history_export import job_calls as calls
from durabletask.extensions.history_export.activities import HistoryExportContext, build_activities
from durabletask.extensions.history_export.job_entity import ExportJobEntity
from durabletask.extensions.history_export.job_orchestrator import export_job_orchestrator
from durabletask.extensions.history_export.job_state import ExportJobDescription
from durabletask.extensions.history_export.names import ENTITY_NAME, ORCHESTRATOR_NAME, orchestrator_instance_id_for
from durabletask.extensions.history_export.options import ExportJobCreationOptions, ExportJobQuery
from durabletask.extensions.history_export.writers import HistoryWriter


class ExportHistoryClient:
    """Creates and watches export jobs, and makes a worker run them. The client's calls block."""

    def __init__(self, durable_task_client: TaskHubGrpcClient, writer: HistoryWriter) -> None:
        self._client = durable_task_client
        self._writer = writer

    @property
    def entity_name(self) -> str:
        """Under which name a job's entity is known."""
        return ENTITY_NAME

    @property
    def orchestrator_name(self) -> str:
        """Under which name a job's orchestrator is known."""
        return ORCHESTRATOR_NAME

    @property
    def writer(self) -> HistoryWriter:
        """Where documents go."""
        return self._writer

    @property
    def underlying_client(self) -> TaskHubGrpcClient:
        """Whom it asks."""
        return self._client

    def register_worker(self, worker_instance: Any) -> None:
        """Let a worker, before its start, run jobs: with this client, and this writer."""
        context = HistoryExportContext(self._client, self._writer)
        worker_instance.add_entity(ExportJobEntity, name=ENTITY_NAME)
        worker_instance.add_orchestrator(export_job_orchestrator, name=ORCHESTRATOR_NAME)
        for activity in build_activities(lambda: context):
            worker_instance.add_activity(activity)

    def create_job(self, options: ExportJobCreationOptions, *, job_id: str | None = None) -> ExportJobDescription:
        """Create a job, or begin one anew that has ended; it begins as soon as a worker takes it.

        Raises ValueError for options that cannot be. A job of that id that is active goes on undisturbed.
        """
        description, request = calls.creation(options, job_id)
        self._client.signal_entity(calls.entity_of(description.job_id), ExportJobEntity.OP_CREATE, input=request)
        return description

    def get_job(self, job_id: str) -> ExportJobDescription | None:
        """The job; None when there is none, or when it was not begun yet."""
        return calls.described(self._client.get_entity(calls.entity_of(job_id), include_state=True))

    def list_jobs(self, query: ExportJobQuery | None = None) -> Iterator[ExportJobDescription]:
        """The jobs that fit."""
        query = query or ExportJobQuery()
        yield from calls.matching(self._client.get_all_entities(calls.entity_query(query)), query)

    def wait_for_job(
        self, job_id: str, *, timeout: float = calls.WAIT_SECONDS, poll_interval: float = calls.POLL_SECONDS
    ) -> ExportJobDescription:
        """Wait until the job has ended. Raises TimeoutError; ExportJobNotFoundError when it never came to be."""
        calls.check_wait(timeout, poll_interval)
        ends_at = time.monotonic() + timeout
        while True:
            job = self.get_job(job_id)
            if job is not None and calls.is_over(job):
                return job
            left = ends_at - time.monotonic()
            if left <= 0:
                raise calls.timed_out(job_id, job, timeout)
            time.sleep(min(poll_interval, left))

    def delete_job(self, job_id: str) -> None:
        """Stop a job and forget it; what it has written stays. No error when there is none."""
        instance_id = orchestrator_instance_id_for(job_id)
        self._client.signal_entity(calls.entity_of(job_id), ExportJobEntity.OP_DELETE)
        try:
            self._client.terminate_orchestration(instance_id, recursive=True)
            with contextlib.suppress(TimeoutError):  # it ends when it next looks at its job, and is not purged
                self._client.wait_for_orchestration_completion(
                    instance_id, fetch_payloads=False, timeout=calls.END_SECONDS_MAX
                )
            self._client.purge_orchestration(instance_id, recursive=True)
        except Exception as error:
            if not calls.is_missing(error):
                raise

    def cancel_job(self, job_id: str) -> None:
        """``delete_job``."""
        self.delete_job(job_id)

    def get_job_client(self, job_id: str) -> "ExportHistoryJobClient":
        """A client of one job."""
        return ExportHistoryJobClient(self, job_id)


class ExportHistoryJobClient:
    """Watches one job."""

    def __init__(self, parent: ExportHistoryClient, job_id: str) -> None:
        self._parent = parent
        self._job_id = job_id
        self._instance_id = orchestrator_instance_id_for(job_id)

    @property
    def job_id(self) -> str:
        """Which job."""
        return self._job_id

    @property
    def orchestrator_instance_id(self) -> str:
        """The orchestration that drives it."""
        return self._instance_id

    def describe(self) -> ExportJobDescription | None:
        """See ``ExportHistoryClient.get_job``."""
        return self._parent.get_job(self._job_id)

    def wait(
        self, *, timeout: float = calls.WAIT_SECONDS, poll_interval: float = calls.POLL_SECONDS
    ) -> ExportJobDescription:
        """See ``ExportHistoryClient.wait_for_job``."""
        return self._parent.wait_for_job(self._job_id, timeout=timeout, poll_interval=poll_interval)

    def delete(self) -> None:
        """See ``ExportHistoryClient.delete_job``."""
        self._parent.delete_job(self._job_id)
