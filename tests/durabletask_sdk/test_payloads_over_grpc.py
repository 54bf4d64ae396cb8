"""Payloads of megabytes between a client, a server and a worker that share a payload store."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durabletask import task
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.payload import FilePayloadStore, LargePayloadStorageOptions, PayloadStore, SqlitePayloadStore
from durabletask.worker import TaskHubGrpcWorker
from support.server_thread import ServerThread

MIB = 1024 * 1024
REFUSED = "durabletask.payload.PayloadTooLarge"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    with ServerThread(tmp_path_factory.mktemp("server")) as server:
        yield server


def client_of(server: ServerThread, store: PayloadStore | None) -> TaskHubGrpcClient:
    return TaskHubGrpcClient(
        host_address=server.address, payload_store=store, log_handler=logging.NullHandler(), emit_trace_spans=False
    )


def doubled(ctx: task.ActivityContext, text: str) -> str:
    return text + text


async def awaited_length(ctx: task.ActivityContext, text: str) -> int:
    return len(text)


def large(ctx: task.OrchestrationContext, size: int) -> str:
    return "y" * size


def through(ctx: task.OrchestrationContext, text: str) -> Any:
    size = yield ctx.call_activity(awaited_length, input=text)
    assert size == len(text)
    event = yield ctx.wait_for_external_event("more")
    both = yield ctx.call_activity(doubled, input=event)
    notes = EntityInstanceId("notes", ctx.instance_id)
    yield ctx.call_entity(notes, "keep", both)
    kept = yield ctx.call_entity(notes, "read")
    return text + kept


def notes(ctx: Any, text: str | None) -> str:
    if ctx.operation == "keep":
        ctx.set_state(text)
        return "kept"
    if ctx.operation == "append":
        ctx.set_state(ctx.get_state(str, "") + text)
        return "appended"
    return ctx.get_state(str, "nothing")


def catches(ctx: task.OrchestrationContext, size: int) -> Any:
    said: list[str] = []
    try:
        yield ctx.call_activity(doubled, input="x" * size)
    except task.TaskFailedError as error:
        said.append(error.details.error_type)
    entity = EntityInstanceId("notes", "grows")
    yield ctx.call_entity(entity, "append", "x" * size)
    try:
        yield ctx.call_entity(entity, "append", "x" * size)
    except task.TaskFailedError as error:
        said.append(error.details.error_type)
    return said, len((yield ctx.call_entity(entity, "read")))


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_five_mebibytes_there_and_back(server: ServerThread, tmp_path: Path, kind: str) -> None:
    def store() -> PayloadStore:
        return FilePayloadStore(tmp_path) if kind == "file" else SqlitePayloadStore(tmp_path / "payloads.db")

    given, event = "a" * (5 * MIB), "\u00e4" * (MIB // 4)
    with (
        TaskHubGrpcWorker(host_address=server.address, payload_store=store()) as worker,
        client_of(server, store()) as c,
    ):
        for function in (doubled, awaited_length):
            worker.add_activity(function)
        worker.add_orchestrator(through)
        worker.add_entity(notes)
        worker.start()
        instance_id = c.schedule_new_orchestration(through, input=given)
        c.raise_orchestration_event(instance_id, "more", data=event)
        state = c.wait_for_orchestration_completion(instance_id, timeout=30)
        assert state is not None
        state.raise_if_failed()
        assert state.get_input() == given
        assert state.get_output() == given + event + event
        entity = c.get_entity(EntityInstanceId("notes", instance_id))
        assert entity is not None
        assert entity.get_typed_state(str) == event + event
        histories = c.get_orchestration_history(instance_id)
        assert max(len(str(event)) for event in histories) > 5 * MIB
        with client_of(server, None) as plain:
            bare = plain.get_orchestration_state(instance_id)
            assert bare is not None
            assert bare.serialized_output is not None
            assert store().is_known_token(bare.serialized_output), "the server holds tokens only"


def test_what_the_store_does_not_take_is_a_failure_of_what_made_it(server: ServerThread, tmp_path: Path) -> None:
    store = FilePayloadStore(tmp_path, LargePayloadStorageOptions(100, 1000))
    with TaskHubGrpcWorker(host_address=server.address, payload_store=store) as worker, client_of(server, store) as c:
        for code in (catches, large):
            worker.add_orchestrator(code)
        worker.add_activity(doubled)
        worker.add_entity(notes)
        worker.start()
        with pytest.raises(ValueError, match="larger than the payload store takes"):
            c.schedule_new_orchestration(large, input="x" * 1001)
        state = c.wait_for_orchestration_completion(c.schedule_new_orchestration(large, input=1001), timeout=30)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.FAILED
        assert state.failure_details is not None
        assert state.failure_details.error_type == REFUSED
        state = c.wait_for_orchestration_completion(c.schedule_new_orchestration(catches, input=600), timeout=30)
        assert state is not None
        assert state.get_output() == [[REFUSED, REFUSED], 600]
