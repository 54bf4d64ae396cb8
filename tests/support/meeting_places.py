"""Where portable workers and clients meet: a server over gRPC, or a hub in this process."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker
from durabletask.client import OrchestrationState
from support.server_thread import ServerThread

KINDS = ["embedded", "grpc"]


@dataclass
class MeetingPlace:
    """A task hub, and how it is worked for and asked."""

    text: str

    def worker(self, *functions: Callable[..., Any], entities: tuple[Any, ...] = (), **options: Any) -> Any:
        """A worker with the functions: orchestrators by their marks, everything else is an activity."""
        worker = DurableTaskSchedulerWorker(self.text, **options)
        for function in functions:
            if hasattr(function, "__durable_kind__"):
                worker.add_all(function)
            else:
                worker.add_activity(function)
        for entity in entities:
            worker.add_entity(entity)
        return worker

    def client(self) -> Any:
        """A client whose calls block."""
        return DurableTaskSchedulerClient(self.text, mode="sync")

    def ended(self, orchestrator: Any, input: Any = None, **said: Any) -> OrchestrationState:
        """The state of an orchestration that has run to its end."""
        with self.client() as client:
            instance_id = client.schedule_new_orchestration(orchestrator, input=input, **said)
            state = client.wait_for_orchestration_completion(instance_id, timeout=20)
        assert state is not None
        return state


@contextmanager
def meeting_place(kind: str, folder: Path) -> Iterator[MeetingPlace]:
    """A hub of one of ``KINDS``."""
    if kind == "embedded":
        yield MeetingPlace(f"Endpoint=embedded://{uuid.uuid4().hex};TaskHub=h")
        return
    with ServerThread(folder) as server:
        yield MeetingPlace(f"Endpoint=http://{server.address};TaskHub=default;Authentication=None")
