"""Programs as a whole: how they end, what a forked child may do, and that nothing is said that nobody asked for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.host_process import checkout_environment
from support.server_thread import ServerThread

ENDS = """
import asyncio, sys
from datetime import timedelta
from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker

@task.orchestration
async def awaits(ctx: task.OrchestrationContext, _: object) -> None:
    await task.when_any([ctx.wait_for_external_event("never"), ctx.create_timer(timedelta(hours=1))])

@task.orchestration
def yields(ctx: task.OrchestrationContext, _: object):
    yield ctx.call_activity(sleeps)

@task.activity
async def sleeps(ctx: task.ActivityContext, _: object) -> None:
    await asyncio.sleep(60)

async def main() -> None:
    worker = DurableTaskSchedulerWorker(sys.argv[1])
    worker.add_all(awaits, yields, sleeps)
    await worker.start()
    client = DurableTaskSchedulerClient(sys.argv[1])
    for orchestrator in (awaits, yields):
        instance_id = await client.schedule_new_orchestration(orchestrator)
        await client.wait_for_orchestration_start(instance_id)
    forgotten = asyncio.create_task(client.wait_for_orchestration_completion(instance_id))
    await asyncio.sleep(0)

asyncio.run(main())
print("ended")
"""

FORKS = """
import os, sys
from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker

@task.orchestration
def echo(ctx: task.OrchestrationContext, value: object) -> object:
    return value

def ask(client, value):
    instance_id = client.schedule_new_orchestration(echo, input=value)
    return client.wait_for_orchestration_completion(instance_id, timeout=20).result

def run(place):
    worker = DurableTaskSchedulerWorker(place)
    worker.add_all(echo)
    worker.start().wait(20)
    return worker

place = sys.argv[1]
worker, client = run(place), DurableTaskSchedulerClient(place, mode="sync")
print(ask(client, "before"), flush=True)
child = os.fork()
if child == 0:
    if place.startswith("Endpoint=embedded"):
        try:
            ask(client, "inherited")
        except RuntimeError as error:
            print("Make clients and workers after the fork" in str(error), flush=True)
        client.close()
        own = run(place)
    print(ask(DurableTaskSchedulerClient(place, mode="sync"), "child"), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], flush=True)
print(ask(client, "after"), flush=True)
worker.stop()
client.close()
"""


@pytest.fixture(scope="module", params=["embedded", "grpc"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "embedded":
        yield "Endpoint=embedded://;TaskHub=h"
        return
    with ServerThread(tmp_path_factory.mktemp("server")) as server:
        yield f"Endpoint=http://{server.address};TaskHub=default;Authentication=None"


def run(tmp_path: Path, program: str, place: str) -> tuple[str, str]:
    (tmp_path / "program.py").write_text(program)
    ended = subprocess.run(
        [sys.executable, "-W", "always", "program.py", place],
        cwd=tmp_path, env=checkout_environment() | {"PATH": os.environ["PATH"]},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    said = [line for line in ended.stderr.splitlines() if " INFO: " not in line]
    return ended.stdout, "\n".join(said)


def test_a_program_that_stops_and_closes_nothing_ends_without_a_word(tmp_path: Path, place: str) -> None:
    assert run(tmp_path, ENDS, place) == ("ended\n", "")


def test_a_forked_child_has_clients_and_workers_of_its_own(tmp_path: Path, place: str) -> None:
    out, _ = run(tmp_path, FORKS, place)
    told = ["before", "True", "child", "0", "after"]
    assert out.split() == [word for word in told if word != "True" or "embedded" in place]
