"""`perdure keys`, and a running host that sees what it did."""

import json
from pathlib import Path

import pytest

from support.commands import command
from support.host_apps import Ended, run_perdure, write_app
from support.host_process import HostProcess

FAILURE, USAGE = 1, 2
APP = """
import azure.functions as func

app = func.FunctionApp()

@app.route(route="hello")
def hello(req):
    return "hello"
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP, head="")


def keys(app: Path, *arguments: str) -> Ended:
    return command("keys", *arguments, "--script-root", str(app))


def test_a_running_host_takes_a_new_key_and_forgets_a_deleted_one(app: Path):
    with HostProcess(app, "--enableAuth") as host:

        def answer(key: str) -> int:
            return host.http.get("/api/hello", headers={"x-functions-key": key}).status_code

        rows = json.loads(keys(app, "list", "--json").out)
        assert [(row["of"], row["name"]) for row in rows] == [
            ("host", "master"), ("host", "default"), ("system", "durabletask_extension"), ("function hello", "default"),
        ]  # fmt: skip
        made = json.loads(keys(app, "set", "partner", "--function", "Hello", "--json").out)["value"]
        assert answer(made) == 200
        assert keys(app, "set", "partner", "simple-value", "--function", "hello").out == (
            "Key 'partner' is: simple-value\n"
        )
        assert (answer(made), answer("simple-value")) == (401, 200)
        assert keys(app, "delete", "partner", "--function", "hello").code == 0
        assert answer("simple-value") == 401
        assert answer(json.loads(keys(app, "set", "MASTER".lower(), "--json").out)["value"]) == 200


def test_commands_find_the_key_of_the_host_that_holds_the_store(app: Path):
    with HostProcess(app, "--enableAuth"):
        ended = run_perdure("durable", "get-instances", "--script-root", str(app), "--json")
        assert ended.code == 0, ended
    assert command("durable", "get-instances", "--script-root", str(app), "--json").code == 0


def test_keys_of_one_place_are_listed(app: Path):
    keys(app, "set", "a", "1", "--function", "hello")
    keys(app, "set", "b", "2", "--system")
    assert json.loads(keys(app, "list", "--function", "HELLO", "--json").out) == [
        {"of": "function hello", "name": "a", "value": "1"}
    ]
    assert "b     2" in keys(app, "list", "--system").out
    assert "There are no such keys" in keys(app, "list", "--function", "other").out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["delete", "nothing"], FAILURE, "no key 'nothing'"),
        (["delete", "master"], USAGE, "master key"),
        (["set", "a/b"], USAGE, "'a/b'"),
        (["set", "a", "with space"], USAGE, "printable"),
        (["set", "a", "--function", "f", "--system"], USAGE, "--system"),
    ],
)
def test_what_cannot_be(app: Path, arguments: list[str], code: int, says: str):
    ended = keys(app, *arguments)
    assert (ended.code, len(ended.error_lines)) == (code, 1), ended
    assert says in ended.err
