"""Code that ends the process: it is tried five times, then it alone fails, and its neighbours complete (M1, M2)."""

import contextlib
from pathlib import Path

import httpx
import pytest

from support.host_apps import write_app
from support.host_process import HostProcess

APP = """
import ctypes
import os
import time


@app.orchestration_trigger(context_name="context")
def ordinary(context):
    for step in range(3):
        yield context.call_activity("pause", step)
    return "done"


@app.activity_trigger(input_name="step")
def pause(step: int) -> int:
    time.sleep(0.1)
    return step


def count(name):
    with open(name, "a") as file:
        file.write("x")


@app.activity_trigger(input_name="value")
def exits(value):
    count("tries")
    os._exit(9)


@app.activity_trigger(input_name="value")
async def exits_async(value):
    count("tries")
    os._exit(9)


@app.activity_trigger(input_name="value")
def crashes(value):
    count("tries")
    ctypes.string_at(0)


@app.orchestration_trigger(context_name="context")
def catches(context):
    try:
        yield context.call_activity(context.get_input(), None)
    except Exception as error:
        return str(error)


@app.orchestration_trigger(context_name="context")
def exits_itself(context):
    yield context.call_activity("pause", 0)
    count("tries")
    os._exit(9)


@app.entity_trigger(context_name="context")
def exits_in_entity(context):
    count("tries")
    os._exit(9)


@app.orchestration_trigger(context_name="context")
def calls_entity(context):
    try:
        yield context.call_entity(df.EntityId("exits_in_entity", "k"), "go")
    except Exception as error:
        return str(error)
"""
TRIES = 5


def until_it_stays(host: HostProcess) -> None:
    """Start it again each time it has ended."""
    for _ in range(TRIES):
        assert host.ended(limit=20) != 0
        host.launch()
    host.wait_ready()


@pytest.mark.parametrize(
    ("orchestrator", "body"),
    [
        # The crash below is the same in all but its signal.
        pytest.param("catches", "exits", marks=pytest.mark.slow),
        pytest.param("catches", "exits_async", marks=pytest.mark.slow),
        ("catches", "crashes"),
        ("exits_itself", None),
        pytest.param("calls_entity", None, marks=pytest.mark.slow),
    ],
    ids=["os._exit in an activity", "in an async activity", "segfault", "in an orchestrator", "in an entity"],
)
def test_what_ends_the_process_is_given_up_after_five_tries(tmp_path: Path, orchestrator: str, body: str | None):
    app = write_app(tmp_path / "app", APP)
    with HostProcess(app) as host:
        neighbours = [host.start_instance(f"/api/start/ordinary/n{number}") for number in range(20)]
        with contextlib.suppress(httpx.TransportError):  # its end may come before the answer
            host.http.post(f"/api/start/{orchestrator}/poison", json=body)
        until_it_stays(host)
        poison = {"statusQueryGetUri": f"{host.url}/runtime/webhooks/durabletask/instances/poison"}
        status = host.finished(poison)
        outcomes = [host.finished(links)["runtimeStatus"] for links in neighbours]
    assert (app / "tries").read_text() == "x" * TRIES
    assert "5 times in a row the process died" in status["output"], status
    assert status["runtimeStatus"] == ("Failed" if orchestrator == "exits_itself" else "Completed")
    assert outcomes == ["Completed"] * 20
