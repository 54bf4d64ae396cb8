"""`perdure durable …` while a host runs, and over the store that it leaves (cli.md §2)."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from support.commands import command, value_of
from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess, checkout_environment, wait_until

APP = """
@app.orchestration_trigger(context_name="context")
def echoes(context):
    context.set_custom_status("echoing")
    return (yield context.call_activity("echo", context.get_input()))


@app.orchestration_trigger(context_name="context")
def waits(context):
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def fails(context):
    yield context.call_activity("break", None)


@app.activity_trigger(input_name="value")
def echo(value):
    return value


@app.orchestration_trigger(context_name="context")
def mends(context):
    return (yield context.call_activity("needs", context.get_input()))


@app.activity_trigger(input_name="path")
def needs(path):
    with open(path) as file:
        return file.read()


@app.activity_trigger(input_name="value", activity="break")
def break_(value):
    raise ValueError("broken on purpose")


@app.entity_trigger(context_name="context")
def counter(context):
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
    context.set_state(total)
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_app(tmp_path_factory.mktemp("commands") / "app", APP)


@pytest.fixture(scope="module")
def host(app: Path) -> Iterator[HostProcess]:
    with HostProcess(app) as host:
        yield host


@pytest.fixture
def in_app(host: HostProcess, app: Path) -> Path:
    """The folder of the app that the host runs."""
    return app


@pytest.fixture(scope="module")
def closed_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app with a store that nobody holds: one of each end, and one that waits."""
    app = write_app(tmp_path_factory.mktemp("closed") / "app", APP)
    with HostProcess(app) as host:
        for name, ended in (("echoes", "Completed"), ("fails", "Failed"), ("waits", "Running")):
            links = host.start_instance(f"/api/start/{name}/{name}-1", {"sku": "TEA-42"})
            host.wait_for(links, lambda status, ended=ended: status["runtimeStatus"] == ended, ended)
        assert host.http.post("/runtime/webhooks/durabletask/entities/counter/visits?op=add", json=3).status_code == 202
        read = "/runtime/webhooks/durabletask/entities/counter/visits"
        wait_until(lambda: host.http.get(read).status_code == 200, "the entity exists")
    return app


def durable(app: Path, *words: str) -> Any:
    return value_of("durable", *words, "--json", folder=app)


def started(app: Path, name: str, *words: str) -> str:
    value = value_of("durable", "start-new", "--function-name", name, *words, "--json", folder=app)
    assert value["name"] == name
    return value["instanceId"]


def ended(app: Path, instance_id: str, code: int = 0) -> dict[str, Any]:
    return value_of("durable", "wait", "--id", instance_id, "--timeout", "20", "--json", folder=app, code=code)


# start-new, wait


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ([], None),
        (["--input", "3"], 3),
        (["--input", "not json"], "not json"),
        (["--input", '{"a": [1]}'], {"a": [1]}),
        (["--input-string", "3"], "3"),
        (["--input", "NaN"], "NaN"),
    ],
)
def test_start_new_gives_json_as_json_and_the_rest_as_a_string(in_app: Path, words: list[str], output: object):
    state = ended(in_app, started(in_app, "echoes", *words))
    assert json.loads(state["Output"] or "null") == output


def test_start_new_reads_its_input_from_a_file(in_app: Path, tmp_path: Path):
    (tmp_path / "order.json").write_text('{"sku": "TEA-42"}')
    state = ended(in_app, started(in_app, "echoes", "--input", f"@{tmp_path / 'order.json'}"))
    assert json.loads(state["Output"]) == {"sku": "TEA-42"}


def test_start_new_says_name_time_and_id(in_app: Path):
    said = command(
        "durable", "start-new", "--function-name", "echoes", "--id", "named-1", "--version", "2", folder=in_app
    )
    assert said.code == 0
    assert said.out.startswith("Started 'echoes' at 20")
    assert said.out.endswith("Z, instance id 'named-1'\n")
    assert ended(in_app, "named-1")["Version"] == "2"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--function-name", "nobody"], 1, "'echoes'"),
        (["--function-name", "echoes", "--input", "@nowhere.json"], 2, "nowhere.json"),
        (["--function-name", "echoes", "--input", "@host.log"], 2, "not valid JSON"),
        (["--function-name", "echoes", "--input", "1", "--input-string", "1"], 2, "--input-string"),
        (["--function-name", "waits", "--id", "@bad@id"], 1, "@"),
        ([], 2, "--function-name"),
    ],
)
def test_start_new_refuses(in_app: Path, words: list[str], code: int, says: str):
    refused = command("durable", "start-new", *words, folder=in_app)
    assert refused.code == code, refused
    assert says in refused.err
    assert len(refused.error_lines) <= 3


def test_start_new_of_a_live_id_is_refused(in_app: Path):
    started(in_app, "waits", "--id", "taken")
    refused = command("durable", "start-new", "--function-name", "waits", "--id", "taken", folder=in_app)
    assert (refused.code, "'taken'" in refused.err) == (1, True)


def test_wait_tells_how_it_ended(in_app: Path):
    assert ended(in_app, started(in_app, "fails"), code=1)["OrchestrationStatus"] == "Failed"
    waiting = started(in_app, "waits")
    late = command("durable", "wait", "--id", waiting, "--timeout", "0.2", folder=in_app)
    assert (late.code, "has not ended" in late.err) == (1, True)
    done = command("durable", "wait", "--id", started(in_app, "echoes"), folder=in_app)
    assert (done.code, done.out.endswith("has ended: Completed\n")) == (0, True)


# reading


def test_status_hides_payloads_until_asked(in_app: Path):
    instance_id = started(in_app, "echoes", "--input", '"tea"')
    ended(in_app, instance_id)
    hidden = value_of("durable", "get-runtime-status", "--id", instance_id, folder=in_app)
    assert (hidden["Input"], hidden["Output"]) == (None, None)
    assert hidden["OrchestrationInstance"]["InstanceId"] == instance_id
    assert hidden["OrchestrationStatus"] == "Completed"
    assert hidden["Status"] == '"echoing"'
    assert hidden["CompletedTime"] >= hidden["CreatedTime"]
    shown = value_of(
        "durable",
        "get-runtime-status",
        "--id",
        instance_id,
        "--show-input",
        "true",
        "--show-output=true",
        folder=in_app,
    )
    assert (shown["Input"], shown["Output"]) == ('"tea"', '"tea"')


def test_failure_is_told_with_its_type(in_app: Path):
    state = ended(in_app, started(in_app, "fails"), code=1)
    assert "broken on purpose" in json.dumps(state["FailureDetails"])


def test_history_is_raw_or_folded(in_app: Path):
    instance_id = started(in_app, "echoes", "--input", "1")
    ended(in_app, instance_id)
    raw = value_of("durable", "get-history", "--id", instance_id, folder=in_app)
    kinds = [row["EventType"] for row in raw]
    assert kinds == [
        "OrchestratorStarted", "ExecutionStarted", "TaskScheduled", "OrchestratorCompleted",
        "OrchestratorStarted", "TaskCompleted", "ExecutionCompleted", "OrchestratorCompleted",
    ]  # fmt: skip
    assert raw[5]["TaskScheduledId"] == raw[2]["EventId"] == 0
    assert [row["Timestamp"] for row in raw] == sorted(row["Timestamp"] for row in raw)
    folded = value_of("durable", "get-history", "--id", instance_id, "--folded", folder=in_app)
    assert [row["EventType"] for row in folded] == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]
    assert folded[1]["FunctionName"] == "echo"


def test_instances_come_in_pages(in_app: Path):
    for number in range(3):
        started(in_app, "echoes", "--id", f"page-{number}")
    first = value_of("durable", "get-instances", "--prefix", "page-", "--top", "2", "--json", folder=in_app)
    assert [row["OrchestrationInstance"]["InstanceId"] for row in first["instances"]] == ["page-0", "page-1"]
    second = value_of(
        "durable", "get-instances", "--prefix", "page-", "--continuation-token", first["continuationToken"], "--json",
        folder=in_app,
    )  # fmt: skip
    assert [row["OrchestrationInstance"]["InstanceId"] for row in second["instances"]] == ["page-2"]
    assert second["continuationToken"] is None
    plain = command("durable", "get-instances", "--prefix", "page-", folder=in_app)
    array, token = plain.out.rsplit("\n", 2)[:2]
    assert len(json.loads(array)) == 3
    assert token.endswith('""')


def test_instances_by_status_and_time(in_app: Path):
    ended(in_app, started(in_app, "echoes", "--id", "range-1"))
    started(in_app, "waits", "--id", "range-2")

    def found(*words: str) -> list[str]:
        page = value_of("durable", "get-instances", "--prefix", "range-", *words, "--json", folder=in_app)
        return [row["OrchestrationInstance"]["InstanceId"] for row in page["instances"]]

    assert found("--runtime-status", "COMPLETED failed") == ["range-1"]
    assert found("--runtime-status", "pending,running") == ["range-2"]
    assert found("--created-after", "2000-01-01") == ["range-1", "range-2"]
    assert found("--created-before", "2000-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["get-runtime-status", "--id", "nobody"], 4, "'nobody'"),
        (["get-history", "--id", "nobody"], 4, "'nobody'"),
        (["get-history", "--id", "nobody", "--folded"], 4, "'nobody'"),
        (["wait", "--id", "nobody"], 4, "'nobody'"),
        (["get-instances", "--runtime-status", "asleep"], 2, "'asleep'"),
        (["get-instances", "--created-after", "yesterday"], 2, "'yesterday'"),
        (["get-instances", "--top", "0"], 2, "0"),
        (["get-instances", "--continuation-token", "forged"], 1, "token"),
        (["get-runtime-status"], 2, "--id"),
        (["get-runtime-status", "--id", "a", "--show-input=perhaps"], 2, "perhaps"),
        (["get-instances", "--task-hub-name", "Elsewhere"], 3, "'Elsewhere'"),
        (["get-instances", "--connection-string-setting", "NOWHERE"], 1, "'NOWHERE'"),
        (["get-instances", "--store", "postgresql://a:secret@127.0.0.1:9/b"], 3, "cannot be reached"),
        (["get-instances", "--store", "memory:"], 3, "--url"),
        (["get-instances", "--url", "localhost:7071"], 2, "http://localhost:7071"),
        (["get-instances", "--url", "http://127.0.0.1:9"], 3, "does not answer"),
        (["purge-history", "--runtime-status", "running"], 2, "'running'"),
        (["purge-history"], 2, "--yes"),
        (["delete-task-hub", "--yes"], 3, "in use by process"),
        (["get-entity", "--name", "counter", "--key", "nobody"], 4, "'nobody'"),
        (["signal-entity", "--name", "nobody", "--key", "k", "--op", "add"], 1, "nobody"),
        (["raise-event", "--id", "nobody", "--event-name", "go"], 4, "'nobody'"),
        (["terminate", "--id", "nobody"], 4, "'nobody'"),
        (["suspend", "--id", "nobody"], 4, "'nobody'"),
        (["resume", "--id", "nobody"], 4, "'nobody'"),
        (["rewind", "--id", "nobody"], 4, "'nobody'"),
        (["restart", "--id", "nobody"], 4, "'nobody'"),
        (["purge-history", "--id", "nobody"], 4, "'nobody'"),
    ],
)
def test_bad_input_is_refused_with_its_exit_code(in_app: Path, words: list[str], code: int, says: str):
    refused = command("durable", *words, folder=in_app)
    assert refused.code == code, refused
    assert says in refused.err
    assert len(refused.error_lines) <= 3
    assert "secret" not in refused.err
    assert refused.out == ""


# steering


def test_event_reaches_its_instance(in_app: Path):
    instance_id = started(in_app, "waits")
    said = command(
        "durable",
        "raise-event",
        "--id",
        instance_id,
        "--event-name",
        "go",
        "--event-data",
        '{"ok": true}',
        folder=in_app,
    )
    assert (said.code, said.out) == (0, f"Raised event 'go' for '{instance_id}'\n")
    assert json.loads(ended(in_app, instance_id)["Output"]) == {"ok": True}
    late = command("durable", "raise-event", "--id", instance_id, "--event-name", "go", folder=in_app)
    assert (late.code, "has ended" in late.err) == (1, True)


def test_terminate_waits_for_the_end(in_app: Path):
    instance_id = started(in_app, "waits")
    said = command("durable", "terminate", "--id", instance_id, "--reason", "ordered twice", folder=in_app)
    assert (said.code, said.out) == (0, f"Terminated '{instance_id}'\n")
    assert durable(in_app, "get-runtime-status", "--id", instance_id)["OrchestrationStatus"] == "Terminated"


def test_suspend_and_resume(in_app: Path):
    instance_id = started(in_app, "waits")
    assert command("durable", "suspend", "--id", instance_id, "--reason", "review", folder=in_app).code == 0

    def status() -> str:
        return durable(in_app, "get-runtime-status", "--id", instance_id)["OrchestrationStatus"]

    wait_until(lambda: status() == "Suspended", "it is suspended")
    assert command("durable", "resume", "--id", instance_id, folder=in_app).code == 0
    wait_until(lambda: status() == "Running", "it runs again")


def test_rewind_of_what_has_not_failed_is_refused(in_app: Path):
    instance_id = started(in_app, "waits")
    refused = command("durable", "rewind", "--id", instance_id, folder=in_app)
    assert (refused.code, "Failed" in refused.err) == (1, True)


def test_rewind_runs_again_from_where_it_failed(in_app: Path, tmp_path: Path):
    needed = tmp_path / "needed.txt"
    instance_id = started(in_app, "mends", "--input-string", str(needed))
    ended(in_app, instance_id, code=1)
    needed.write_text("here it is")
    said = command("durable", "rewind", "--id", instance_id, "--reason", "the file is back", folder=in_app)
    assert said.code == 0, said
    assert said.out.splitlines()[:2] == [f"Rewind sent to '{instance_id}'; reading the new status…", "Before: Failed"]
    assert said.out.splitlines()[2].removeprefix("After:  ") in ("Running", "Completed", "Pending")
    assert json.loads(ended(in_app, instance_id)["Output"]) == "here it is"


def test_restart_under_a_new_id_or_its_own(in_app: Path):
    instance_id = started(in_app, "echoes", "--input", "[7]")
    ended(in_app, instance_id)
    fresh = durable(in_app, "restart", "--id", instance_id)
    assert fresh["instanceId"] != fresh["restarted"] == instance_id
    assert json.loads(ended(in_app, fresh["instanceId"])["Output"]) == [7]
    assert durable(in_app, "restart", "--id", instance_id, "--same-id")["instanceId"] == instance_id
    assert json.loads(ended(in_app, instance_id)["Output"]) == [7]


def test_purge_counts_before_it_removes(in_app: Path):
    for number in range(2):
        ended(in_app, started(in_app, "fails", "--id", f"old-{number}"), code=1)
    counted = value_of("durable", "purge-history", "--runtime-status", "failed", "--dry-run", "--json", folder=in_app)
    assert counted["instancesFound"] >= 2
    assert durable(in_app, "purge-history", "--id", "old-0") == {"instancesDeleted": 1}
    removed = command("durable", "purge-history", "--runtime-status", "failed", folder=in_app)
    assert (removed.code, removed.out.endswith(" removed\n")) == (0, True)
    assert command("durable", "get-runtime-status", "--id", "old-1", folder=in_app).code == 4
    running = started(in_app, "waits")
    assert command("durable", "purge-history", "--id", running, folder=in_app).code == 1


# entities


def test_entities_are_signalled_read_and_listed(in_app: Path):
    for _ in range(2):
        said = command(
            "durable",
            "signal-entity",
            "--name",
            "counter",
            "--key",
            "shop",
            "--op",
            "add",
            "--input",
            "2",
            folder=in_app,
        )
        assert said.code == 0, said

    def state() -> object:
        read = command("durable", "get-entity", "--name", "counter", "--key", "shop", folder=in_app)
        return json.loads(read.out) if read.code == 0 else None

    wait_until(lambda: state() == 4, "both operations have run")
    page = value_of("durable", "list-entities", "--name", "counter", "--show-state", "--json", folder=in_app)
    assert [(row["entityId"], row["state"]) for row in page["entities"]] == [({"name": "counter", "key": "shop"}, 4)]


# the same over a store that nobody holds


def test_closed_store_is_read(closed_app: Path):
    page = durable(closed_app, "get-instances")
    assert {row["OrchestrationInstance"]["InstanceId"]: row["OrchestrationStatus"] for row in page["instances"]} == {
        "echoes-1": "Completed", "fails-1": "Failed", "waits-1": "Running",
    }  # fmt: skip
    state = value_of("durable", "get-runtime-status", "--id", "echoes-1", "--show-output", folder=closed_app)
    assert json.loads(state["Output"]) == {"sku": "TEA-42"}
    assert len(durable(closed_app, "get-history", "--id", "echoes-1")) == 8
    assert len(durable(closed_app, "get-history", "--id", "echoes-1", "--folded")) == 3
    assert value_of("durable", "get-entity", "--name", "counter", "--key", "visits", folder=closed_app) == 3
    assert len(durable(closed_app, "list-entities")["entities"]) == 1
    assert durable(closed_app, "wait", "--id", "echoes-1")["OrchestrationStatus"] == "Completed"


def test_nothing_moves_while_no_host_runs(closed_app: Path):
    waiting = command("durable", "wait", "--id", "waits-1", folder=closed_app)
    assert (waiting.code, "no host is running" in waiting.err) == (1, True)
    for words in (["suspend", "--id", "waits-1"], ["resume", "--id", "waits-1"]):
        said = command("durable", *words, folder=closed_app)
        assert (said.code, "No host is running" in said.out) == (0, True), said


def test_unknown_things_of_a_closed_store(closed_app: Path):
    for words in (["get-runtime-status"], ["get-history"], ["terminate"], ["wait"], ["purge-history"]):
        refused = command("durable", *words, "--id", "nobody", folder=closed_app)
        assert refused.code == 4, refused


def test_what_is_sent_to_a_closed_store_waits_for_the_next_host(tmp_path: Path):
    app = write_app(tmp_path / "app", APP)
    nothing = command("durable", "get-instances", folder=app)
    assert (nothing.code, "There is no store" in nothing.err) == (3, True)
    assert not (app / ".perdure").exists()
    early = started(app, "echoes", "--input", "1")
    waiting = started(app, "waits", "--id", "w")
    command("durable", "raise-event", "--id", waiting, "--event-name", "go", "--event-data", "2", folder=app)
    command("durable", "signal-entity", "--name", "counter", "--key", "k", "--op", "add", "--input", "5", folder=app)
    with HostProcess(app):
        assert ended(app, early)["Output"] == "1"
        assert ended(app, waiting)["Output"] == "2"


def test_store_of_a_newer_version_is_refused(tmp_path: Path):
    app = write_app(tmp_path / "app", APP)
    started(app, "echoes")
    with closing(sqlite3.connect(app / ".perdure" / "hub.db")) as store:
        store.execute("pragma user_version = 999")
    for words in (["durable", "get-instances"], ["verify"], ["backup", str(tmp_path / "copy.db")]):
        refused = command(*words, folder=app)
        assert (refused.code, "newer" in refused.err, len(refused.error_lines)) == (3, True, 1), refused


def test_commands_that_are_killed_leave_a_sound_store(tmp_path: Path):
    app = write_app(tmp_path / "app", APP)
    line = [sys.executable, "-m", "perdure", "durable", "start-new", "--function-name", "waits"]
    for hundredths in range(30, 60, 5):
        with subprocess.Popen(line, cwd=app, env=checkout_environment(), stdout=subprocess.DEVNULL) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(hundredths / 100)
            process.kill()
    started(app, "waits")
    assert command("verify", "--liveness", folder=app).out == "The store is sound.\n"


def test_delete_task_hub_leaves_nothing(tmp_path: Path):
    app = write_app(tmp_path / "app", APP)
    started(app, "echoes")
    store = app / ".perdure" / "hub.db"
    asked = command("durable", "delete-task-hub", folder=app)
    assert (asked.code, "--yes" in asked.err, store.exists()) == (2, True, True)
    said = command("durable", "delete-task-hub", "--yes", folder=app)
    assert (said.code, said.out) == (0, "Deleted the task hub 'TestHubName'\n")
    assert {file.name for file in store.parent.iterdir()} <= {".gitignore", "hub.db.lock"}
    assert command("durable", "delete-task-hub", "--yes", folder=app).code == 3


# ways to a hub


def test_ways_to_a_hub(host: HostProcess, app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    by_url = value_of("durable", "get-instances", "--url", host.url, "--json", folder=tmp_path)
    by_folder = value_of("durable", "get-instances", "--script-root", app, "--json", folder=tmp_path)
    store = f"sqlite:{app / '.perdure' / 'hub.db'}"
    by_store = value_of("durable", "get-instances", "--store", store, "--json", folder=tmp_path)
    monkeypatch.setenv("MY_STORE", store)
    by_setting = value_of(
        "durable", "get-instances", "--connection-string-setting", "MY_STORE", "--json", folder=tmp_path
    )
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    habit = command(
        "durable", "get-instances", "--connection-string-setting", "AzureWebJobsStorage", "--task-hub-name",
        "testhubname", "--json", folder=app,
    )  # fmt: skip
    assert "names no store" in habit.err
    assert by_url == by_folder == by_store == by_setting == json.loads(habit.out)


def test_commands_run_as_a_process_of_their_own(in_app: Path):
    said = run_perdure("Durable", "Get-Instances", "--top=1", "--json", cwd=in_app)
    assert said.code == 0, said
    assert len(json.loads(said.out)["instances"]) == 1
    assert run_perdure("durable", "get-history", "--id", "nobody", cwd=in_app).code == 4


def test_table_for_a_person_at_a_terminal(in_app: Path):
    instance_id = started(in_app, "waits", "--id", "table-1")
    screen, terminal = pty.openpty()
    line = [sys.executable, "-m", "perdure", "durable", "get-instances", "--prefix", "table-"]
    environment = {**checkout_environment(), "COLUMNS": "200"}
    ended_ = subprocess.run(line, cwd=in_app, env=environment, stdout=terminal, timeout=30, check=True)
    os.close(terminal)
    with open(screen, "rb", buffering=0) as file:
        shown = b""
        with suppress(OSError):
            while part := file.read(4096):
                shown += part
    assert ended_.returncode == 0
    lines = shown.decode().splitlines()
    assert lines[0].split("  ")[0] == "Instance id"
    assert lines[2].split()[:2] == [instance_id, "waits"]
    assert lines[3] == 'Continuation token for the next page: ""'


def test_nobody_reads_the_output(in_app: Path):
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, "-m", "perdure", "durable", "get-instances"]
    done = subprocess.run(
        line, cwd=in_app, env=checkout_environment(), stdout=write, stderr=subprocess.PIPE, timeout=30, check=False
    )
    os.close(write)
    assert done.stderr == b""
