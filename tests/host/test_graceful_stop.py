"""SIGTERM: what runs may end within the grace period, nothing runs twice, and the exit code tells the truth (P1)."""

import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from support.host_apps import write_app
from support.host_process import HostProcess, wait_until

DURABLE = "/runtime/webhooks/durabletask"
APP = """
import asyncio
import os
import time

ledger = os.open("ledger.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@app.orchestration_trigger(context_name="context")
def steps(context):
    for step in range(4):
        yield context.call_activity("step" if step % 2 else "step_async", f"{context.instance_id}/{step}")
    return "done"


@app.activity_trigger(input_name="key")
def step(key: str) -> None:
    time.sleep(0.05)
    os.write(ledger, (key + "\\\\n").encode())


@app.activity_trigger(input_name="key")
async def step_async(key: str) -> None:
    await asyncio.sleep(0.05)
    os.write(ledger, (key + "\\\\n").encode())


@app.route(route="slow/{seconds}", methods=["GET"])
def slow(req: func.HttpRequest) -> str:
    os.write(ledger, b"asked\\\\n")
    time.sleep(float(req.route_params["seconds"]))
    return "at last"


@app.orchestration_trigger(context_name="context")
def long(context):
    return (yield context.call_activity("sleep", context.get_input()))


@app.activity_trigger(input_name="seconds")
def sleep(seconds: float) -> str:
    os.write(ledger, b"asleep\\\\n")
    time.sleep(seconds)
    return "slept"
""".replace("\\\\", "\\")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


def ledger(app: Path) -> Counter[str]:
    return Counter((app / "ledger.txt").read_text().splitlines())


def test_stops_under_load_repeat_nothing(app: Path):
    stops, answered = 2, 0
    with HostProcess(app) as host:
        for number in range(stops):
            accepted: list[str] = []

            def keep_starting(number: int = number, accepted: list[str] = accepted) -> None:
                for n in range(1000):
                    try:
                        answer = host.http.post(f"{DURABLE}/orchestrators/steps/i{number}-{n}")
                    except httpx.TransportError:
                        return
                    assert answer.status_code in (202, 503), answer.text
                    if answer.status_code == 202:
                        accepted.append(f"i{number}-{n}")

            starting = threading.Thread(target=keep_starting)
            starting.start()
            wait_until(lambda: len(accepted) > 10, "it is under load", about=host.log)  # noqa: B023 - used at once
            host.stop()
            starting.join()
            answered += len(accepted)
            host.start()
            outputs = {
                i: host.completed({"statusQueryGetUri": f"{host.url}{DURABLE}/instances/{i}"})["output"]
                for i in accepted
            }
            assert set(outputs.values()) == {"done"}
    runs = ledger(app)
    print(f"{stops} stops, {answered} starts accepted, {len(runs)} activities")
    assert len(runs) >= answered * 4
    assert set(runs.values()) == {1}, [key for key, times in runs.items() if times > 1]


def test_what_is_under_way_ends_and_is_not_repeated(app: Path):
    with HostProcess(app) as host, ThreadPoolExecutor(1) as requests:
        links = host.start_instance("/api/start/long/one", 1)
        under_way = requests.submit(host.http.get, "/api/slow/1")
        wait_until(lambda: ledger(app) == {"asleep": 1, "asked": 1}, "both are under way", about=host.log)
        host.stop()
        assert under_way.result().text == "at last"
        host.start()
        assert host.completed(links)["output"] == "slept"
    assert ledger(app)["asleep"] == 1


def test_end_of_the_grace_period_is_told_by_the_exit_code(app: Path):
    (app / "local.settings.json").write_text(
        '{"IsEncrypted": false, "Values": {"PERDURE_SHUTDOWN_GRACE_SECONDS": "0.5"}}'
    )
    with HostProcess(app) as host:
        host.start_instance("/api/start/long/one", 20)
        wait_until(lambda: ledger(app)["asleep"] == 1, "it sleeps", about=host.log)
        began = time.monotonic()
        host.send_signal(signal.SIGTERM)
        assert host.ended(limit=10) == 1
        assert time.monotonic() - began < 5
        assert "runs again after the next start" in host.log()
        host.start()
        wait_until(lambda: ledger(app)["asleep"] == 2, "it runs again", about=host.log)
        host.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_second_signal_ends_it_at_once(app: Path, number: int, code: int):
    with HostProcess(app) as host:
        host.start_instance("/api/start/long/one", 20)
        wait_until(lambda: ledger(app)["asleep"] == 1, "it sleeps", about=host.log)
        host.send_signal(number)
        wait_until(lambda: "Stopping" in host.log(), "it stops", about=host.log)
        began = time.monotonic()
        host.send_signal(number)
        assert host.ended(limit=5) == code
        assert time.monotonic() - began < 2


def test_nothing_outlives_the_host_and_a_bad_grace_period_is_a_note(app: Path):
    (app / "local.settings.json").write_text(
        '{"IsEncrypted": false, "Values": {"PERDURE_SHUTDOWN_GRACE_SECONDS": "soon"}}'
    )
    with HostProcess(app) as host:
        assert "PERDURE_SHUTDOWN_GRACE_SECONDS is 'soon'" in host.log()
        host.completed(host.start_instance("/api/start/steps/one"))
        children = psutil.Process(host.pid).children(recursive=True)
        host.stop()
        assert [child for child in children if child.is_running()] == []
        assert "Exception" not in host.log()
        assert "Traceback" not in host.log()
