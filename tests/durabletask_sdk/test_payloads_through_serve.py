"""Large payloads as users run them: programs against ``perdure serve``, with a folder that both share."""

import logging
from pathlib import Path
from typing import Any

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker
from durabletask.payload import FilePayloadStore
from support.serve_process import ServeProcess

MIB = 1024 * 1024
QUIET = logging.NullHandler()


def echo(ctx: task.ActivityContext, text: str) -> str:
    return text


def through(ctx: task.OrchestrationContext, text: str) -> Any:
    return (yield ctx.call_activity(echo, input=text))


def test_five_mebibytes_through_a_server(tmp_path: Path) -> None:
    with ServeProcess(tmp_path) as server:
        text = f"Endpoint=http://localhost:{server.grpc_port};Authentication=None"
        store = FilePayloadStore(tmp_path / "payloads")
        given = "x" * (5 * MIB)
        with (
            DurableTaskSchedulerWorker(text, payload_store=store, log_handler=QUIET) as worker,
            DurableTaskSchedulerClient(text, mode="sync", payload_store=store, log_handler=QUIET) as client,
        ):
            worker.add_orchestrator(through)
            worker.add_activity(echo)
            worker.start()
            instance_id = client.schedule_new_orchestration(through, input=given)
            state = client.wait_for_orchestration_completion(instance_id, timeout=60)
            assert state is not None
            state.raise_if_failed()
            assert state.get_output() == given
    assert sum(path.stat().st_size for path in (tmp_path / ".perdure").rglob("*") if path.is_file()) < MIB
    assert len([path for path in (tmp_path / "payloads").rglob("*") if path.is_file()]) == 1
