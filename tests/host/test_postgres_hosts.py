"""Several hosts on one hub in PostgreSQL, as users run them: any of them answers, and what one leaves the others do."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from support.commands import command, value_of
from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess, checkout_environment, free_port, wait_until
from support.postgres_server import looking_at, shared_server

LEASE_SECONDS = 4
TAKEOVER_SECONDS_MAX = LEASE_SECONDS + 5.0
"""reliability.md O4."""
LONG_SECONDS = 3.0
SOURCE = """
import datetime, os, time


@app.orchestration_trigger(context_name="context")
def chain(context):
    results = []
    for number in range(context.get_input()):
        results.append((yield context.call_activity("step", number)))
        yield context.create_timer(context.current_utc_datetime + datetime.timedelta(seconds=1))
    return results


@app.orchestration_trigger(context_name="context")
def waits(context):
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def lasts(context):
    return (yield context.call_activity("long", context.instance_id))


@app.activity_trigger(input_name="number")
def step(number: int) -> int:
    return number * number


@app.activity_trigger(input_name="name")
def long(name: str) -> int:
    with open(os.environ["LONG"], "a") as file:
        file.write(f"{name} {os.getpid()}\\n")
    time.sleep(float(os.environ["LONG_SECONDS"]))
    return os.getpid()


@app.timer_trigger(schedule="* * * * * *", arg_name="timer", use_monitor=False)
def tick(timer: func.TimerRequest) -> None:
    with open(os.environ["TICKS"], "a") as file:
        file.write(f"{os.getpid()} {int(time.time())}\\n")
"""


@pytest.fixture
def hub() -> Iterator[str]:
    name = f"h{uuid4().hex[:12]}"
    yield name

    run_sql(f'drop schema if exists "perdure_{name}" cascade')


def run_sql(statement: str) -> None:
    async def run() -> None:
        async with looking_at(shared_server()) as connection:
            await connection.execute(statement)

    asyncio.run(run())


@pytest.fixture
def app(tmp_path: Path, hub: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERDURE_STORE", shared_server())
    monkeypatch.setenv("TICKS", str(tmp_path / "ticks"))
    monkeypatch.setenv("LONG_SECONDS", str(LONG_SECONDS))
    monkeypatch.setenv("LONG", str(tmp_path / "long"))
    settings = {"version": "2.0", "extensions": {"durableTask": {"hubName": hub}}}
    return write_app(tmp_path / "one", SOURCE, host_json=json.dumps(settings))


def on_hub(app: Path, *options: str) -> HostProcess:
    environment = {**checkout_environment(), "PERDURE_LEASE_SECONDS": str(LEASE_SECONDS)}
    return HostProcess(app, "--store", shared_server(), *options, environment=environment)


def copied(app: Path) -> Path:
    """The same app in another folder, as on another machine."""
    other = app.parent / "two"
    other.mkdir()
    for name in ("function_app.py", "host.json"):
        (other / name).write_bytes((app / name).read_bytes())
    return other


def status(host: HostProcess, instance_id: str) -> str:
    answer = host.http.get(f"/runtime/webhooks/durabletask/instances/{instance_id}")
    assert answer.status_code in (200, 202), answer
    return answer.json()["runtimeStatus"]


def completed(host: HostProcess, kind: str) -> bool:
    return all(status(host, f"{kind}{number}") == "Completed" for number in range(8))


def ticks(app: Path) -> list[tuple[int, int]]:
    lines = (app.parent / "ticks").read_text(encoding="utf-8").splitlines()
    return [(int(pid), int(second)) for pid, second in (line.split() for line in lines)]


def long_runs(app: Path) -> dict[str, int]:
    """Each long activity that has begun, in which process; each begins once."""
    path = app.parent / "long"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    runs = dict(line.split() for line in lines)
    assert len(runs) == len(lines), lines
    return {name: int(pid) for name, pid in runs.items()}


def test_what_a_killed_host_leaves_the_other_one_does(app: Path) -> None:
    with on_hub(copied(app)) as other:
        with on_hub(app) as first:
            wait_until(lambda: shares(app) == [16, 16], "the partitions are shared", limit=20, about=other.log)
            for number in range(12):
                first.start_instance(f"/api/start/chain/c{number}", 4)
                first.start_instance(f"/api/start/waits/w{number}")
            # Any host answers for any instance.
            assert {status(other, f"w{number}") for number in range(12)} <= {"Pending", "Running"}
            first.kill()
            killed_at = time.monotonic()
            for number in range(12):
                answer = other.http.post(
                    f"/runtime/webhooks/durabletask/instances/w{number}/raiseEvent/go", json={"by": "other"}
                )
                assert answer.status_code == 202
            names = [f"{kind}{number}" for kind in "cw" for number in range(12)]
            wait_until(
                lambda: all(status(other, name) == "Completed" for name in names),
                "the other one has done it",
                limit=TAKEOVER_SECONDS_MAX + 10,
                about=other.log,
            )
            assert time.monotonic() - killed_at < TAKEOVER_SECONDS_MAX + 5
            assert shares(app) == [32]
        wait_until(lambda: ticks(app)[-1][0] == other.pid, "the timer runs there", limit=10, about=other.log)
        # Each second once, whoever did it, but for those between the two.
        seconds = [second for _, second in ticks(app)]
        assert len(seconds) == len(set(seconds))
        assert value_of("verify", "--json", folder=app) == []


def shares(app: Path) -> list[int]:
    found = command("hub", "status", "--json", folder=app)
    hosts = json.loads(found.out)["hosts"]
    return sorted(len(host["partitions"]) for host in hosts if host["alive"])


def test_a_stopped_host_hands_over_at_once_and_keys_are_shared(app: Path) -> None:
    with on_hub(copied(app), "--enableAuth") as other:
        with on_hub(app, "--enableAuth") as first:
            master = next(
                row["value"] for row in value_of("keys", "list", "--json", folder=app) if row["name"] == "master"
            )
            for host in (first, other):
                assert host.http.get("/admin/host/status").status_code == 401
                host.http.headers["x-functions-key"] = master
                assert host.http.get("/admin/host/status").status_code == 200
            assert not (app / ".perdure" / "keys").exists()
            wait_until(lambda: shares(app) == [16, 16], "the partitions are shared", limit=20, about=other.log)
            for number in range(8):
                # Whoever runs it, who was asked is told of its end.
                asked = f"/runtime/webhooks/durabletask/orchestrators/chain/q{number}?timeout=20&pollingInterval=20"
                ended = (first, other)[number % 2].http.post(asked, json=0)
                assert (ended.status_code, ended.json()) == (200, []), ended.text
            for number in range(8):
                first.start_instance(f"/api/start/waits/w{number}")
                first.start_instance(f"/api/start/lasts/l{number}")
            wait_until(lambda: len(long_runs(app)) == 8, "all activities run", limit=10, about=other.log)
            begun = long_runs(app)
            assert set(begun.values()) == {first.pid, other.pid}
            stopped_at = time.monotonic()
            first.send_signal(signal.SIGTERM)
            # Long before what runs there ends.
            wait_until(lambda: shares(app) == [32], "the other has all partitions", limit=2, about=other.log)
            for number in range(8):
                path = f"/runtime/webhooks/durabletask/instances/w{number}/raiseEvent/go"
                assert other.http.post(path, json=1).status_code == 202
            wait_until(lambda: completed(other, "w"), "the other goes on", limit=10, about=other.log)
            assert time.monotonic() - stopped_at < LONG_SECONDS
            assert first.ended(limit=LONG_SECONDS + 5) == 0, first.log()
        wait_until(lambda: completed(other, "l"), "what ran here has counted", limit=10, about=other.log)
        assert long_runs(app) == begun
        assert value_of("verify", "--json", folder=app) == []


FRESH = """

@app.orchestration_trigger(context_name="context")
def fresh(context):
    return (yield context.call_activity("fresh_step", context.get_input()))


@app.activity_trigger(input_name="number")
def fresh_step(number: int) -> int:
    return number + 1
"""


def test_what_an_old_host_lacks_waits_for_a_new_one(app: Path) -> None:
    """While new code is rolled out, with the gRPC door, where names that a host lacks are waited for."""
    old = copied(app)
    with (app / "function_app.py").open("a") as source:
        source.write(FRESH)
    with (
        on_hub(old, "--grpc-port", str(free_port())) as other,
        on_hub(app, "--grpc-port", str(free_port())) as first,
    ):
        wait_until(lambda: shares(app) == [16, 16], "the partitions are shared", limit=20, about=other.log)
        for number in range(12):
            first.start_instance(f"/api/start/fresh/f{number}", number)
        names = [f"f{number}" for number in range(12)]
        wait_until(lambda: all(status(other, name) == "Completed" for name in names), "done", about=other.log)


def test_a_start_that_cannot_be_is_one_line_with_exit_code_3(app: Path, hub: str) -> None:
    ended = run_perdure("start", str(app), "--store", "postgresql://app:s3cret@127.0.0.1:1/shop")
    assert (ended.code, len(ended.error_lines), "s3cret" in ended.err) == (3, 1, False), ended
    assert "postgresql://app@127.0.0.1:1/shop" in ended.err
    nobody = f"postgresql://nobody-here:s3cret@{shared_server().rpartition('@')[2]}"
    served = run_perdure("serve", "--store", nobody, cwd=app)
    assert (served.code, len(served.error_lines), "s3cret" in served.err) == (3, 1, False), served
    assert "refuses the user" in served.err
    assert command("hub", "create", hub, folder=app).code == 0
    run_sql(f"update \"perdure_{hub}\".setting set value = 99 where name in ('version', 'usable_from')")
    newer = run_perdure("start", str(app), "--store", shared_server())
    assert (newer.code, len(newer.error_lines), "has schema version 99" in newer.err) == (3, 1, True), newer
