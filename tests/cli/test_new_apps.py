"""`perdure init`, `new`, `templates`: apps of both models that run as they are written (cli.md §4, §5)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.cli.project.jsonc import NotJsonc, read_jsonc, with_item, with_member
from perdure.cli.project.templates import TEMPLATES
from support.commands import command, value_of
from support.host_process import HostProcess, checkout_environment, wait_until

TITLES = [template.title for template in TEMPLATES]
FOREIGN_INPUTS: dict[str, object] = {
    "Blob trigger": "text",
    "Queue trigger": "text",
    "Event Grid trigger": {
        "id": "1", "topic": "t", "subject": "s", "eventType": "e", "eventTime": "2026-01-01T00:00:00Z", "data": {},
        "dataVersion": "1",
    },
    "Event Hub trigger": "text",
    "Service Bus queue trigger": "text",
    "Service Bus topic trigger": "text",
    "Cosmos DB trigger": [{"id": "1"}],
}  # fmt: skip


def listed(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_durable_app_runs_as_it_is_written(tmp_path: Path):
    said = command("init", "shop", "--template", "durable", "--worker-runtime", "python", folder=tmp_path)
    assert said.code == 0, said
    app = tmp_path / "shop"
    assert listed(app) == {
        "function_app.py", "requirements.txt", "host.json", "local.settings.json", ".gitignore", ".funcignore",
        ".vscode/extensions.json",
    }  # fmt: skip
    assert "azure-functions-durable" in (app / "requirements.txt").read_text()
    assert ".perdure/" in (app / ".gitignore").read_text()
    assert json.loads((app / "host.json").read_text())["extensionBundle"]["version"] == "[4.*, 5.0.0)"
    assert json.loads((app / "local.settings.json").read_text())["Values"]["FUNCTIONS_WORKER_RUNTIME"] == "python"
    with HostProcess(app) as host:
        started = host.start_instance("/api/orchestrators/greet_cities", ["Oslo"])
        assert host.completed(started)["output"] == ["Hello Oslo!"]


def test_functions_of_every_kind_are_added_to_an_app(tmp_path: Path):
    for number, title in enumerate(TITLES):
        said = command(
            "new", "--template", title, "--name", f"made{number}", "--authlevel", "anonymous", folder=tmp_path
        )
        assert (said.code, said.out.splitlines()[-1]) == (
            0, f"The function 'made{number}' was made from the template '{title}'.",
        ), said  # fmt: skip
    said = command("new", "-t", "activity", "-n", "Hello", "-f", "greetings.py", folder=tmp_path)
    assert "app.register_functions(bp)" in said.out
    with (tmp_path / "function_app.py").open("a") as file:
        file.write("\n\nfrom greetings import bp\n\napp.register_functions(bp)\n")
    check_every_kind(tmp_path)


def test_functions_of_every_kind_are_added_as_folders(tmp_path: Path):
    assert command("init", "-m", "v1", folder=tmp_path).code == 0
    assert {"getting_started.md", "host.json"} < listed(tmp_path)
    assert "function_app.py" not in listed(tmp_path)
    for number, title in enumerate(TITLES):
        assert command("new", "-t", title, "-n", f"made{number}", "-a", "Anonymous", folder=tmp_path).code == 0
    assert command("new", "-t", "Durable Functions activity", "-n", "Hello", folder=tmp_path).code == 0
    check_every_kind(tmp_path)


def check_every_kind(app: Path) -> None:
    with HostProcess(app) as host:
        assert host.http.get("/api/made0?name=Ada").text == "Hello Ada!"
        assert host.http.post("/api/made0", json={"name": "Bo"}).text == "Hello Bo!"
        assert "made1: timerTrigger" in host.log()
        started = host.start_instance("/api/orchestrators/made2")
        assert host.completed(started)["output"] == ["Hello Tokyo!", "Hello Seattle!"]
        assert "made3: activityTrigger" in host.log()
        entity = "/runtime/webhooks/durabletask/entities/made4/key"
        assert host.http.post(f"{entity}?op=add", json=2).status_code == 202
        for title, input in FOREIGN_INPUTS.items():
            answer = host.http.post(f"/admin/functions/made{TITLES.index(title)}", json={"input": input})
            assert answer.status_code == 202, answer.text
        wait_until(lambda: len(re.findall(r"\bgot ", host.log())) == len(FOREIGN_INPUTS), "all ran", about=host.log)


def test_what_was_made_is_told_to_programs(tmp_path: Path):
    made = value_of("init", "shop", "--template", "durable", "--vscode", "--json", folder=tmp_path)
    app = tmp_path / "shop"
    assert made == {
        "folder": str(app), "written": made["written"], "extended": [], "skipped": [],
    }  # fmt: skip
    assert set(made["written"]) == listed(app)
    assert {"function_app.py", ".vscode/launch.json"} < set(made["written"])
    again = value_of("init", "shop", "--json", folder=tmp_path)
    assert (again["written"], "host.json" in again["skipped"]) == ([], True)
    assert value_of("new", "-t", "activity", "-n", "pack", "--json", folder=app) == {
        "folder": str(app), "written": [], "extended": ["function_app.py"], "skipped": [], "function": "pack",
        "template": "Durable Functions activity",
    }  # fmt: skip


def test_who_stops_reading_stops_no_writing(tmp_path: Path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody_reads:
        for words in (["init", "--vscode", "--source-control"], ["new", "-t", "timer", "-n", "tick", "-f", "more"]):
            ended = subprocess.run(
                [sys.executable, "-m", "perdure", *words], cwd=tmp_path, env=checkout_environment(),
                stdout=nobody_reads, stderr=subprocess.PIPE, timeout=60, check=False,
            )  # fmt: skip
            assert ended.stderr == b""
    assert {"function_app.py", ".funcignore", ".vscode/launch.json", "more.py"} <= listed(tmp_path)
    assert (tmp_path / ".git").is_dir()


def test_files_that_are_there_are_kept(tmp_path: Path):
    (tmp_path / "function_app.py").write_text("# mine\n")
    said = command("init", folder=tmp_path)
    assert "function_app.py already exists. Skipped." in said.out
    assert (tmp_path / "function_app.py").read_text() == "# mine\n"
    assert command("init", "--force", folder=tmp_path).code == 0
    assert "func.FunctionApp()" in (tmp_path / "function_app.py").read_text()


def test_choices_of_init(tmp_path: Path):
    environment = tmp_path / "myenv"
    environment.mkdir()
    (environment / "pyvenv.cfg").write_text("")
    said = command("init", "-m", "v1", "--no-docs", "--no-bundle", "--docker", "--source-control", folder=tmp_path)
    assert said.code == 0, said
    assert "getting_started.md" not in listed(tmp_path)
    assert "extensionBundle" not in json.loads((tmp_path / "host.json").read_text())
    assert "myenv" in (tmp_path / ".funcignore").read_text().splitlines()
    assert (tmp_path / "Dockerfile").exists()
    assert (tmp_path / ".git").is_dir()
    command("init", "preview", "-c", "preview", folder=tmp_path)
    assert "Preview" in (tmp_path / "preview" / "host.json").read_text()
    command("init", "only", "--docker-only", folder=tmp_path)
    assert listed(tmp_path / "only") == {"Dockerfile", ".dockerignore"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["init", "--worker-runtime", "node"], 2, "'node'"),
        (["init", "--model", "v3"], 2, "v1"),
        (["init", "-m", "v1", "--template", "durable"], 2, "v2"),
        (["new", "--template", "activity"], 2, "--name"),
        (["new", "--name", "x1"], 2, "Durable Functions orchestrator"),
        (["new", "-t", "kafka", "-n", "x1"], 2, "'kafka'"),
        (["new", "-t", "http", "-n", "1x"], 2, "'1x'"),
        (["new", "-t", "http", "-n", "x_"], 2, "'x_'"),
        (["new", "-t", "http", "-n", "x1", "-a", "nobody"], 2, "anonymous"),
        (["new", "-t", "http", "-n", "x1", "-l", "java"], 2, "'java'"),
        (["templates", "list", "-l", "java"], 2, "'java'"),
    ],
)
def test_what_cannot_be_made(tmp_path: Path, words: list[str], code: int, says: str):
    refused = command(*words, folder=tmp_path)
    assert (refused.code, says in refused.err) == (code, True), refused
    assert listed(tmp_path) == set()


def test_files_that_take_no_function(tmp_path: Path):
    command("init", folder=tmp_path)
    command("new", "-t", "activity", "-n", "Hello", folder=tmp_path)
    (tmp_path / "broken.py").write_text("def broken(:\n")
    (tmp_path / "plain.py").write_text("x = 1\n")
    for file, says in (("function_app", "'Hello' already"), ("broken", "line 1"), ("plain", "blueprint")):
        refused = command("new", "-t", "activity", "-n", "Hello", "-f", file, folder=tmp_path)
        assert (refused.code, says in refused.err) == (1, True), refused
    assert (tmp_path / "plain.py").read_text() == "x = 1\n"


def test_new_keeps_what_the_file_says(tmp_path: Path):
    text = (
        '"""My app."""\n\nfrom __future__ import annotations\n\nimport azure.functions as func\n\n'
        "# mine\nshop = func.FunctionApp()"
    )
    (tmp_path / "function_app.py").write_text(text)
    assert command("new", "-t", "orchestrator", "-n", "ships", folder=tmp_path).code == 0
    after = (tmp_path / "function_app.py").read_text()
    assert after.startswith(
        '"""My app."""\n\nfrom __future__ import annotations\n\nimport azure.durable_functions as df\n'
    )
    assert "# mine\nshop = func.FunctionApp()\n\n\n@shop.orchestration_trigger" in after
    compile(after, "function_app.py", "exec")


def test_templates_are_listed():
    assert value_of("templates", "list", "--json") == {"Python": TITLES}
    assert command("templates", "list").out.splitlines()[1:] == [f"  {title}" for title in TITLES]


# VS Code


def test_vscode_files_of_a_new_app(tmp_path: Path):
    assert command("init", "--vscode", folder=tmp_path).code == 0
    launch = json.loads((tmp_path / ".vscode" / "launch.json").read_text())
    assert [entry["request"] for entry in launch["configurations"]] == ["launch", "attach"]
    assert launch["configurations"][0]["args"] == ["start", "--reload"]
    tasks = json.loads((tmp_path / ".vscode" / "tasks.json").read_text())
    assert tasks["tasks"][0]["label"] == launch["configurations"][1]["preLaunchTask"]
    extra = json.loads((tmp_path / ".vscode" / "settings.json").read_text())["python.analysis.extraPaths"]
    assert [Path(path, "azure", "durable_functions").is_dir() for path in extra] == [True]
    before = {name: (tmp_path / name).read_text() for name in listed(tmp_path)}
    assert command("init", "--vscode", folder=tmp_path).code == 0
    assert {name: (tmp_path / name).read_text() for name in listed(tmp_path)} == before


def test_vscode_files_that_are_there_keep_every_letter(tmp_path: Path):
    folder = tmp_path / ".vscode"
    folder.mkdir()
    launch = """{
    // F5 of the Azure extension
    "version": "0.2.0",
    "configurations": [
        {
            "name": "Attach to Python Functions", /* port of the worker */
            "type": "debugpy",
            "request": "attach",
            "connect": { "host": "localhost", "port": 9091, },
        }, // the last
    ],
}
"""
    (folder / "launch.json").write_text(launch)
    (folder / "settings.json").write_text('{\n  "python.analysis.extraPaths": ["lib"] // ours\n}\n')
    assert command("init", "--vscode", folder=tmp_path).code == 0
    after = (folder / "launch.json").read_text()
    names = [entry["name"] for entry in read_jsonc(after)["configurations"]]
    assert names == ["Attach to Python Functions", "Run with perdure", "Attach to perdure"]
    head, tail = launch.split("    ],\n}")
    assert after.startswith(head.rstrip())
    assert after.endswith(f"],\n}}{tail}")
    settings = read_jsonc((folder / "settings.json").read_text())
    assert settings["python.analysis.extraPaths"][0] == "lib"
    assert "// ours" in (folder / "settings.json").read_text()


def test_vscode_file_that_cannot_be_read_is_left_alone(tmp_path: Path):
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode" / "launch.json").write_text("{ nonsense")
    refused = command("init", "--vscode", folder=tmp_path)
    assert (refused.code, "launch.json" in refused.err) == (1, True)
    assert (tmp_path / ".vscode" / "launch.json").read_text() == "{ nonsense"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", {"a": [1]}),
        ("{}", {"a": [1]}),
        ("{ // nothing\n}", {"a": [1]}),
        ('{"b": "// no comment, }"}', {"b": "// no comment, }", "a": [1]}),
        ('{"b": {"a": [0]}, "a": []}', {"b": {"a": [0]}, "a": [1]}),
        ('{"a": [0 /* , */ ,]}', {"a": [0, 1]}),
        ('{"a": [{"x": "]"} // ]\n]}', {"a": [{"x": "]"}, 1]}),
    ],
)
def test_items_are_added_between_comments(text: str, after: object):
    changed = with_item(text, "a", 1)
    assert read_jsonc(changed) == after
    for comment in ("// nothing", "/* , */", "// ]\n"):
        assert (comment in changed) == (comment in text)


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": 1,,}', '{"a": "x}', "nonsense"])
def test_texts_that_are_no_objects(text: str):
    with pytest.raises(NotJsonc):
        with_member(text, "b", 1)
