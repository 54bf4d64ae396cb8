"""What an operator sees of a server or a host in figures (scheduler.md §9, row 17)."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx

from perdure.formats.protobuf import messages as pb
from support.commands import value_of
from support.grpc_worker import Worker, completes
from support.host_apps import write_app
from support.host_process import REPOSITORY, HostProcess, free_port, wait_until
from support.scheduler_server import text
from support.serve_process import ServeProcess


def figures_of(http: httpx.Client, path: str = "/metrics", **query: str) -> dict[str, float]:
    """Name with labels → value, of a page that is written as Prometheus wants it."""
    answer = http.get(path, params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    figures = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}
    assert len(figures) == len(lines), "a series stands there twice"
    return figures


def reaches(http: httpx.Client, figure: str, value: float) -> None:
    """Wait for a figure: what was asked for is acknowledged a moment before it is counted."""
    wait_until(
        lambda: figures_of(http).get(figure) == value, f"{figure} {value:g}", about=lambda: str(figures_of(http))
    )


def load_of(http: httpx.Client, **query: str) -> dict[str, Any]:
    answer = http.get("/metrics.json", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def scaled_by(http: httpx.Client) -> int:
    """What the scaler of the guide's rule reads."""
    guide = (REPOSITORY / "docs" / "server.md").read_text(encoding="utf-8")
    [(path, place)] = re.findall(r'url: "http://[^/]+(/\S+)"\n +valueLocation: "(\w+)"', guide)
    answer = http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()[place]


def schedules(task_id: int, name: str) -> pb.OrchestratorAction:
    action = pb.OrchestratorAction(id=task_id)
    action.scheduleTask.name = name
    action.scheduleTask.input.CopyFrom(text("1"))
    return action


def test_a_server_shows_its_backlog_and_what_workers_have(tmp_path: Path) -> None:
    with ServeProcess(tmp_path, "--hubs", "default,Orders") as server:

        async def scenario() -> None:
            http = server.http
            async with asyncio.timeout(30), server.client() as client:
                # From here on what ends is counted.
                assert figures_of(http)['perdure_connected_workers{task_hub="default"}'] == 0
                for number in range(3):
                    await client.StartInstance(instanceId=f"x{number}", name="flow")
                await client.to(taskhub="orders").SignalEntity(instanceId="@counter@a", name="add", requestId="")
                labels = 'task_hub="default",kind="orchestration",name="flow"'
                reaches(http, f"perdure_work_items_pending{{{labels}}}", 3)
                reaches(http, 'perdure_work_items_pending{task_hub="Orders",kind="entity",name="counter"}', 1)
                seen = figures_of(http)
                assert seen[f"perdure_work_items_active{{{labels}}}"] == 0
                assert seen[f"perdure_work_items_oldest_age_seconds{{{labels}}}"] >= 0
                assert not [name for name in figures_of(http, taskHub="ORDERS") if '"default"' in name]
                async with Worker(client, workItemFilters=pb.WorkItemFilters(
                    orchestrations=[pb.OrchestrationFilter(name="flow")]
                )) as worker:  # fmt: skip
                    for _ in range(3):
                        await worker.complete_turn(await worker.next_turn(), schedules(1, "charge"))
                    charge = 'perdure_work_items_pending{task_hub="default",kind="activity",name="charge"}'
                    reaches(http, charge, 3)
                    assert scaled_by(http) == 3
                    load = load_of(http, kind="activity", name="charge")
                    assert load.pop("oldestAgeInSeconds") >= 0
                    assert load == {
                        "taskHub": "default", "pending": 3, "active": 0, "total": 3, "connectedWorkers": 1,
                    }  # fmt: skip
                    async with Worker(client, workItemFilters=pb.WorkItemFilters(
                        activities=[pb.ActivityFilter(name="charge")]
                    )) as charger:  # fmt: skip
                        items = [await charger.next_item() for _ in range(3)]
                        load = load_of(http, kind="Activity")
                        assert (load["pending"], load["active"], load["connectedWorkers"]) == (0, 3, 2)
                        for item in items:
                            await client.CompleteActivityTask(
                                instanceId=item.activityRequest.orchestrationInstance.instanceId,
                                taskId=1, result=text("2"), completionToken=item.completionToken,
                            )  # fmt: skip
                    for _ in range(3):
                        await worker.complete_turn(await worker.next_turn(), completes(2))
                assert load_of(http)["total"] == 0
                assert load_of(http, taskHub="orders")["pending"] == 1
                reaches(
                    http, 'perdure_orchestrations_ended_total{task_hub="default",name="flow",status="Completed"}', 3
                )
                seen = figures_of(http, "/admin/perdure/metrics")
                assert seen['perdure_orchestrations_started_total{task_hub="default",name="flow"}'] == 3
                assert seen['perdure_activities_ended_total{task_hub="default",name="charge",outcome="completed"}'] == 3
                assert seen['perdure_episodes_committed_total{task_hub="default",kind="orchestration"}'] == 6
                for query, code in ({"kind": "nonsense"}, 400), ({"taskHub": "nope"}, 404):
                    assert http.get("/metrics.json", params=query).status_code == code
                assert http.get("/metrics", params={"taskHub": "nope"}).status_code == 404

        asyncio.run(scenario())


def test_figures_are_for_readers_where_tokens_are_asked_for(tmp_path: Path) -> None:
    def token(role: str, *more: str) -> str:
        store = str(tmp_path / ".perdure" / "hub.db")
        return value_of("token", "create", "--role", role, "--store", store, "--json", *more)["token"]

    reader, orders, worker = token("reader"), token("reader", "--hub", "orders"), token("worker")
    with ServeProcess(tmp_path, "--hubs", "default,orders", "--auth") as server:

        def ask(token: str | None, path: str = "/metrics") -> httpx.Response:
            return server.http.get(path, headers={} if token is None else {"authorization": f"Bearer {token}"})

        assert [ask(said).status_code for said in (None, "wrong", worker, reader)] == [401, 401, 403, 200]
        assert 'task_hub="default"' in ask(reader).text
        assert 'task_hub="default"' not in ask(orders).text
        assert 'task_hub="orders"' in ask(orders).text
        assert ask(orders, "/metrics.json").json()["taskHub"] == "orders"
        assert ask(orders, "/metrics.json?taskHub=default").status_code == 404


APP = """
import threading
gate = threading.Event()

@app.orchestration_trigger(context_name="context")
def flow(context):
    return (yield context.call_activity("slow", None))

@app.activity_trigger(input_name="nothing")
def slow(nothing):
    gate.wait(20)
    return 1

@app.route(route="open")
def open_gate(req):
    gate.set()
    return "opened"
"""
OWN_METRICS = """
@app.route(route="metrics")
def own(req):
    return "the app's own"
"""


def test_a_functions_host_shows_its_activities_and_its_workers(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", APP, host_json=LIMITED)
    with HostProcess(app, "--grpc-port", str(free_port())) as host:
        assert figures_of(host.http)['perdure_connected_workers{task_hub="ShopHub"}'] == 0
        links = [host.start_instance(f"/api/start/flow/x{number}") for number in range(3)]
        waiting = {"kind": "activity", "name": "slow"}
        wait_until(lambda: load_of(host.http, **waiting)["total"] == 3, "three activities")
        load = load_of(host.http, **waiting)
        assert (load["pending"], load["active"], load["oldestAgeInSeconds"]) == (2, 1, None)
        host.start_instance("/api/start/nobodys_flow/y")
        wait_until(
            lambda: load_of(host.http, kind="orchestration", name="nobodys_flow")["pending"] == 1, "a turn for others"
        )
        host.http.get("/api/open")
        for each in links:
            host.completed(each)
        reaches(host.http, 'perdure_orchestrations_ended_total{task_hub="ShopHub",name="flow",status="Completed"}', 3)
        assert figures_of(host.http, taskHub="shophub")
        assert host.http.get("/metrics", params={"taskHub": "other"}).status_code == 404


LIMITED = """{"version": "2.0", "extensions": {"durableTask":
  {"hubName": "ShopHub", "maxConcurrentActivityFunctions": 1}}}"""


def test_an_apps_own_function_comes_first(tmp_path: Path) -> None:
    host_json = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'
    app = write_app(tmp_path / "app", OWN_METRICS, host_json=host_json)
    with HostProcess(app) as host:
        assert host.http.get("/metrics").text == "the app's own"
        assert not [name for name in figures_of(host.http, "/admin/perdure/metrics") if "workers" in name]
        assert load_of(host.http)["connectedWorkers"] is None
