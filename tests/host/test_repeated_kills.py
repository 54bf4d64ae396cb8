"""kill -9 at random moments, again and again, while instances start and run: nothing is lost, nothing happens twice.

Each kill is checked to have landed in the middle of work; the figures are printed.
"""

import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess, wait_until

LEDGER = "ledger.txt"
APP = f'''
import json
import os
import time
from datetime import timedelta

ledger = os.open("{LEDGER}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def ran(key, seconds):
    began = time.time()
    time.sleep(seconds)
    os.write(ledger, (json.dumps([key, os.getpid(), began]) + "\\n").encode())


@app.orchestration_trigger(context_name="context")
def journey(context):
    me = context.instance_id
    first = yield context.call_activity("double", [me, "first", 1])
    counter = df.EntityId("counter", "total")
    context.signal_entity(counter, "add", 1)
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=50))
    both = yield context.task_all(
        [context.call_activity("double", [me, "left", first]), context.call_activity("later", [me, "right", first])]
    )
    child = yield context.call_sub_orchestrator("leg", [me, sum(both)])
    context.signal_entity(counter, "add", 1)
    last = yield context.call_entity(df.EntityId("counter", me), "add", child)
    return [first, both, child, last]


@app.orchestration_trigger(context_name="context")
def leg(context):
    me, value = context.get_input()
    return (yield context.call_activity("double", [me, "leg", value]))


@app.activity_trigger(input_name="request")
def double(request: list) -> int:
    ran(request[0] + "/" + request[1], 0.005)
    return request[2] * 2


@app.activity_trigger(input_name="request")
async def later(request: list) -> int:
    ran(request[0] + "/" + request[1], 0)
    return request[2] * 3


@app.entity_trigger(context_name="context")
def counter(context):
    if context.operation_name == "add":
        context.set_state((context.get_state() or 0) + context.get_input())
    context.set_result(context.get_state())
'''
OUTPUT = [2, [4, 6], 20, 20]
ACTIVITIES_OF_EACH = ("first", "left", "right", "leg")
SIGNALS_OF_EACH = 2
DURABLE = "/runtime/webhooks/durabletask"


class Traffic:
    """Starts and signals from several threads, whatever happens to the host, and what was answered."""

    def __init__(self, host: HostProcess) -> None:
        self.accepted: list[str] = []
        self.unknown: list[str] = []
        self.signals_accepted = 0
        self.signals_unknown = 0
        self._host = host
        self._number = 0
        self._lock = threading.Lock()

    def start_some(self, count: int) -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: self._start(), range(count)))

    def _start(self) -> None:
        with self._lock:
            self._number += 1
            instance_id = f"journey-{self._number:04}"
        try:
            answer = self._host.http.post(f"{DURABLE}/orchestrators/journey/{instance_id}")
        except httpx.TransportError:
            self.unknown.append(instance_id)
        else:
            assert answer.status_code == 202, answer.text
            self.accepted.append(instance_id)
        try:
            answer = self._host.http.post(f"{DURABLE}/entities/counter/clients?op=add", json=1)
        except httpx.TransportError:
            with self._lock:
                self.signals_unknown += 1
        else:
            assert answer.status_code == 202, answer.text
            with self._lock:
                self.signals_accepted += 1


def kill_again_and_again(app: Path, kills: int, starts: int, seed: int) -> None:
    dice = random.Random(seed)
    kill_times: list[float] = []
    with HostProcess(app) as host:
        traffic = Traffic(host)
        for _ in range(kills):
            starting = threading.Thread(target=traffic.start_some, args=(starts,))
            starting.start()
            time.sleep(dice.uniform(0.02, 0.3))  # when the kill comes is what is random here
            host.kill()
            kill_times.append(time.time())
            starting.join()
            host.start()
        traffic.start_some(starts)
        wait_until(lambda: not running(host), "all have ended", limit=60, about=host.log)

        came = [i for i in traffic.unknown if host.http.get(f"{DURABLE}/instances/{i}").status_code != 404]
        lives = [check_instance(host, instance_id) for instance_id in (*traffic.accepted, *came)]
        in_the_middle = sum(any(began < killed < ended for began, ended in lives) for killed in kill_times)
        total = SIGNALS_OF_EACH * (len(traffic.accepted) + len(came))
        wait_until(lambda: entity(host, "total") == total, f"the counter is {total}", about=lambda: host.log())
        from_clients = entity(host, "clients")
        assert traffic.signals_accepted <= from_clients <= traffic.signals_accepted + traffic.signals_unknown

    repeated = check_ledger(app, [*traffic.accepted, *came], kill_times)
    ended = run_perdure("verify", app, "--liveness")
    assert (ended.code, ended.out.strip()) == (0, "The store is sound."), ended
    print(
        f"seed {seed}: {kills} kills, {in_the_middle} in the middle of work; {len(traffic.accepted)} starts accepted, "
        f"{len(traffic.unknown)} without an answer ({len(came)} of them came); {repeated} activity runs repeated"
    )
    assert in_the_middle * 4 >= kills, "too few kills found work to do harm to"


def running(host: HostProcess) -> list[dict[str, Any]]:
    listed = host.http.get(f"{DURABLE}/instances?runtimeStatus=Pending,Running&top=1000")
    assert listed.status_code == 200, listed.text
    return [i for i in listed.json() if i["name"] in ("journey", "leg")]


def check_instance(host: HostProcess, instance_id: str) -> tuple[float, float]:
    """Everything about it is right; returns when it began and ended, in seconds."""
    answer = host.http.get(f"{DURABLE}/instances/{instance_id}?showHistory=true&showHistoryOutput=true")
    assert answer.status_code == 200, f"{instance_id}: {answer.status_code} {answer.text}"
    status = answer.json()
    assert (status["runtimeStatus"], status["output"]) == ("Completed", OUTPUT), status
    kinds = Counter(event["EventType"] for event in status["historyEvents"])
    expected = {
        "TaskCompleted": 3,
        "SubOrchestrationInstanceCompleted": 1,
        "TimerFired": 1,
        "EntityOperationCompleted": 1,
    }
    assert {kind: kinds[kind] for kind in expected} == expected, kinds
    times = [datetime.fromisoformat(event["Timestamp"]).timestamp() for event in status["historyEvents"]]
    return times[0], times[-1]


def entity(host: HostProcess, key: str) -> int:
    return host.http.get(f"{DURABLE}/entities/counter/{key}").json() or 0


def check_ledger(app: Path, instances: list[str], kill_times: list[float]) -> int:
    runs: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for line in (app / LEDGER).read_text().splitlines():
        key, pid, began = json.loads(line)
        runs[key].append((pid, began))
    assert set(runs) == {f"{instance}/{step}" for instance in instances for step in ACTIVITIES_OF_EACH}
    repeated = 0
    for key, times in runs.items():
        assert len({pid for pid, _ in times}) == len(times), f"{key} ran twice in one process: {times}"
        for _, began in sorted(times, key=lambda run: run[1])[:-1]:
            repeated += 1
            assert any(began <= killed <= began + 2 for killed in kill_times), (
                f"{key} ran twice without a kill: {times}"
            )
    return repeated


def test_five_kills(tmp_path: Path):
    kill_again_and_again(write_app(tmp_path / "app", APP), kills=5, starts=20, seed=20261121)


@pytest.mark.slow
def test_a_hundred_kills(tmp_path: Path):
    seed = int(os.environ.get("PERDURE_KILL_SEED", time.time_ns() % 1_000_000))
    kill_again_and_again(write_app(tmp_path / "app", APP), kills=100, starts=20, seed=seed)


def test_a_start_right_after_a_kill_takes_over_at_once(tmp_path: Path):
    app = write_app(tmp_path / "app", APP)
    began = time.monotonic()
    with HostProcess(app) as host:
        ordinary = time.monotonic() - began
        for number in range(4):
            host.http.post(f"{DURABLE}/orchestrators/journey/again-{number}")
            host.kill()
            began = time.monotonic()
            host.start()
            assert time.monotonic() - began < 5 + 2 * ordinary
        wait_until(lambda: not running(host), "all have ended", about=host.log)
        for number in range(4):
            check_instance(host, f"again-{number}")
