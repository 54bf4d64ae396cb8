"""What the README tells: 100 instances are running, the process is killed, started again, and nothing is lost."""

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from support.host_process import REPOSITORY, HostProcess, wait_until

INSTANCES = 100
STEPS = 5
JOURNAL = "journal.txt"
APP = f'''
import os
import time

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
journal = os.open("{JOURNAL}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@app.route(route="runs/{{id}}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client):
    instance_id = await client.start_new("run", req.route_params["id"])
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def run(context):
    total = 0
    for step in range({STEPS}):
        total = yield context.call_activity("add", [context.instance_id, step, total])
    return total


@app.activity_trigger(input_name="request")
def add(request: list) -> int:
    instance_id, step, total = request
    os.write(journal, f"{{instance_id}} {{step}} {{total}}\\n".encode())
    time.sleep(0.01)
    return total + step
'''


def listed(host: HostProcess) -> list[dict[str, Any]]:
    answer = host.http.get("/runtime/webhooks/durabletask/instances", params={"top": 1000})
    instances: list[dict[str, Any]] = answer.json()
    return instances


def statuses(host: HostProcess) -> Counter[str]:
    return Counter(instance["runtimeStatus"] for instance in listed(host))


def test_a_hundred_instances_survive_kill_9_in_the_middle(tmp_path: Path):
    app = Path(shutil.copytree(REPOSITORY / "samples" / "hello_cities", tmp_path / "app"))
    (app / "function_app.py").write_text(APP)

    with HostProcess(app) as host:
        with ThreadPoolExecutor(8) as starters:
            links = list(starters.map(lambda n: host.start_instance(f"/api/runs/{n:03}"), range(INSTANCES)))
        wait_until(lambda: statuses(host)["Completed"] >= 10, "ten have completed", pause=0.001)
        host.kill()
        run_before = (app / JOURNAL).read_text().splitlines()

        host.start()
        unfinished = INSTANCES - statuses(host)["Completed"]
        outputs = [host.completed(link)["output"] for link in links]
        histories = [host.status(link, showHistory="true", showHistoryOutput="true") for link in links]

    assert len(run_before) < INSTANCES * STEPS, "the kill came after the work"
    assert unfinished > 0
    assert outputs == [sum(range(STEPS))] * INSTANCES
    for history in histories:
        results = [event["Result"] for event in history["historyEvents"] if event["EventType"] == "TaskCompleted"]
        assert results == [sum(range(step + 1)) for step in range(STEPS)]
    # Each run of a step was given what the step before it committed; only the kill may have repeated one.
    runs = Counter((app / JOURNAL).read_text().splitlines())
    assert len(runs) == INSTANCES * STEPS
    repeated = [line for line, times in runs.items() if times > 1]
    assert max(runs.values()) <= 2
    assert set(repeated) <= set(run_before)
    print(
        f"{len(run_before)} activity runs before the kill, {unfinished} instances unfinished, {len(repeated)} repeated"
    )
