"""Programs with an engine of their own that share a hub on PostgreSQL."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from durabletask.azuremanaged import DurableTaskSchedulerClient
from support.host_process import checkout_environment
from support.postgres_server import looking_at, shared_server

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys
from durabletask.azuremanaged import DurableTaskSchedulerWorker

def double(context, number):
    return number * 2

def twice(context, number):
    return (yield context.call_activity(double, input=number))

with DurableTaskSchedulerWorker(sys.argv[1]) as worker:
    worker.add_orchestrator(twice)
    worker.add_activity(double)
    worker.start()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place() -> Iterator[str]:
    hub, url = f"h{uuid4().hex[:12]}", shared_server()
    yield f"Endpoint=embedded+{url};TaskHub={hub}"

    async def drop() -> None:
        async with looking_at(url) as connection:
            await connection.execute(f'drop schema if exists "perdure_{hub}" cascade')

    asyncio.run(drop())


def test_a_client_here_and_a_worker_there(place: str) -> None:
    environment = checkout_environment()
    environment["PYTHONPATH"] += f":{ROOT / 'sdks'}"
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        assert worker.stdout.readline() == b"ready\n"
        with DurableTaskSchedulerClient(place, mode="sync") as client:
            instance_id = client.schedule_new_orchestration("twice", input=21)
            state = client.wait_for_orchestration_completion(instance_id, timeout=20)
        assert state is not None
        assert state.serialized_output == "42"
    finally:
        worker.stdin.close()
        assert worker.wait(timeout=20) == 0
        worker.stdout.close()
