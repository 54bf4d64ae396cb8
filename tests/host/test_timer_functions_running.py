"""Timer functions in the running host: by schedule, at the start, and after a downtime in which they were due."""

import json
from pathlib import Path

import pytest

from support.host_apps import write_app
from support.host_process import HostProcess, wait_until

APP = """
@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
@app.durable_client_input(client_name="client")
async def each_second(timer: func.TimerRequest, client) -> None:
    await client.start_new("tick")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
def at_the_start(timer: func.TimerRequest) -> None:
    print(f"at the start, past due {timer.past_due}", flush=True)


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def yearly(timer: func.TimerRequest) -> None:
    print(f"yearly, past due {timer.past_due}", flush=True)


@app.orchestration_trigger(context_name="context")
def tick(context):
    return (yield context.call_activity("answer", None))


@app.activity_trigger(input_name="nothing")
def answer(nothing) -> int:
    return 42
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


def test_timers_run_by_schedule_at_the_start_and_when_past_due(app: Path):
    with HostProcess(app) as host:

        def ticks() -> int:
            listed = host.http.get("/runtime/webhooks/durabletask/instances?runtimeStatus=Completed").json()
            assert all((each["name"], each["output"]) == ("tick", 42) for each in listed)
            return len(listed)

        wait_until(lambda: ticks() >= 2, "it ran twice", about=host.log)
        wait_until(lambda: "at the start, past due False" in host.log(), "it ran at the start", about=host.log)
        assert "yearly, past due" not in host.log()
        host.stop()

        # A year goes by while the host is down.
        [status] = (app / ".perdure" / "timers").rglob("yearly.json")
        kept = json.loads(status.read_text())
        kept["Next"] = "2020-01-01T00:00:00+00:00"
        status.write_text(json.dumps(kept))
        host.log_file.unlink()
        host.start()
        wait_until(lambda: "yearly, past due True" in host.log(), "the missed run is made up for", about=host.log)
        host.stop()

        host.log_file.unlink()
        host.start()
        wait_until(lambda: "at the start, past due False" in host.log(), "it ran at the start", about=host.log)
        assert "yearly, past due" not in host.log()
