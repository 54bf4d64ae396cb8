"""What every scenario stands on: workers and clients of whichever ``durabletask`` this interpreter has."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import grpc

from durabletask import client as clients
from durabletask import task
from durabletask.grpc_options import GrpcChannelOptions, GrpcWorkerResiliencyOptions
from durabletask.worker import TaskHubGrpcWorker

Observation = Any
Scenario = Callable[["Stage"], Observation]
Function = TypeVar("Function", bound=Callable[..., Any])

SCENARIOS: dict[str, Scenario] = {}
"""By name; the scenarios that play on the one shared worker first have ``shared`` set."""
SHARED: set[str] = set()
ORCHESTRATORS: list[Callable[..., Any]] = []
ACTIVITIES: list[Callable[..., Any]] = []
ENTITIES: list[Any] = []

RAISED_LIMIT = GrpcChannelOptions(
    max_receive_message_length=64 * 1024 * 1024,
    max_send_message_length=64 * 1024 * 1024,
    raw_options=[("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)],
)
QUICK = GrpcWorkerResiliencyOptions(
    hello_timeout_seconds=5, reconnect_backoff_base_seconds=0.05, reconnect_backoff_cap_seconds=0.5
)
SECONDS_MAX = 30.0
SHORT = timedelta(milliseconds=50)


def scenario(function: Scenario) -> Scenario:
    """One that plays on the worker that knows every function of these files."""
    SHARED.add(function.__name__)
    return alone(function)


def alone(function: Scenario) -> Scenario:
    """One that starts workers of its own."""
    SCENARIOS[function.__name__] = function
    return function


def orchestrator(function: Function) -> Function:
    ORCHESTRATORS.append(function)
    return function


def activity(function: Function) -> Function:
    ACTIVITIES.append(function)
    return function


def entity(function: Function) -> Function:
    ENTITIES.append(function)
    return function


class Stage:
    """A server, a client of it, and workers for it."""

    def __init__(self, address: str, hub: str) -> None:
        self.address = address
        self.metadata = [("taskhub", hub)]
        client = self.new_client(RAISED_LIMIT)
        self.client: clients.TaskHubGrpcClient = PatientClient(client) if "PATIENT" in os.environ else client  # type: ignore[assignment]

    def new_client(self, options: GrpcChannelOptions | None = None) -> clients.TaskHubGrpcClient:
        return clients.TaskHubGrpcClient(
            host_address=self.address,
            metadata=self.metadata,
            channel_options=options,
            log_handler=logging.NullHandler(),
        )

    def new_worker(self, **options: Any) -> TaskHubGrpcWorker:
        options = {"channel_options": RAISED_LIMIT, "resiliency_options": QUICK, **options}
        return TaskHubGrpcWorker(
            host_address=self.address, metadata=self.metadata, log_handler=logging.NullHandler(), **options
        )

    @contextmanager
    def worker(
        self,
        *,
        orchestrators: list[Callable[..., Any]] | None = None,
        activities: list[Callable[..., Any]] | None = None,
        prepare: Callable[[TaskHubGrpcWorker], None] | None = None,
        **options: Any,
    ) -> Iterator[TaskHubGrpcWorker]:
        """A worker that runs until the end of the block."""
        worker = self.new_worker(**options)
        for function in orchestrators or []:
            worker.add_orchestrator(function)
        for function in activities or []:
            worker.add_activity(function)
        if prepare is not None:
            prepare(worker)
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()

    def shared_worker(self, kind: str = "takes everything") -> Any:
        """A worker that knows every function of these files; a ``filtered`` one asks for no other work."""

        def prepare(worker: TaskHubGrpcWorker) -> None:
            if kind == "filtered":
                worker.use_work_item_filters()
            for function in ENTITIES:
                worker.add_entity(function)
            worker.configure_scheduled_tasks()

        return self.worker(orchestrators=ORCHESTRATORS, activities=ACTIVITIES, prepare=prepare)

    def start(self, orchestrator: Any, input: Any = None, **options: Any) -> str:
        return self.client.schedule_new_orchestration(orchestrator, input=input, **options)

    def ended(self, instance_id: str) -> Any:
        state = self.client.wait_for_orchestration_completion(instance_id, timeout=SECONDS_MAX)
        assert state is not None, instance_id
        return state

    def output(self, instance_id: str) -> Any:
        """The output; of an instance that did not complete, its status and failure."""
        state = self.ended(instance_id)
        if state.runtime_status is clients.OrchestrationStatus.COMPLETED:
            return state.get_output()
        return [state.runtime_status.name, failure(state.failure_details)]

    def run(self, orchestrator: Any, input: Any = None, **options: Any) -> Any:
        return self.output(self.start(orchestrator, input, **options))

    def status(self, instance_id: str) -> str | None:
        state = self.client.get_orchestration_state(instance_id)
        return None if state is None else state.runtime_status.name

    def until_status(self, instance_id: str, name: str) -> None:
        until(lambda: self.status(instance_id) == name, f"{instance_id} is {name}, not {self.status(instance_id)}")

    def until_custom_status(self, instance_id: str, wanted: Any) -> None:
        def reached() -> bool:
            state = self.client.get_orchestration_state(instance_id)
            return state is not None and state.get_custom_status() == wanted

        until(reached, f"the custom status of {instance_id} is {wanted}")


class PatientClient:
    """A client that asks again while its server is away."""

    def __init__(self, client: clients.TaskHubGrpcClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def ask(*arguments: Any, **options: Any) -> Any:
            end = time.monotonic() + SECONDS_MAX
            while True:
                try:
                    return call(*arguments, **options)
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:  # type: ignore[attr-defined]
                        raise
                    time.sleep(0.05)

        return ask


def until(condition: Callable[[], bool], what: str, limit: float = SECONDS_MAX) -> None:
    """Ask until the condition holds."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not in {limit} s: {what}")
        time.sleep(0.02)


def failure(details: Any) -> Any:
    """A failure without its stack."""
    if details is None:
        return None
    return [details.error_type, details.message, failure(details.inner_failure)]


def policy(attempts: int) -> task.RetryPolicy:
    return task.RetryPolicy(first_retry_interval=SHORT, max_number_of_attempts=attempts)
