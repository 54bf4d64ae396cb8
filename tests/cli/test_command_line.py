"""The words of the command line: help, version, unknown words, output to nobody (cli.md §1, §8)."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from perdure import __version__
from perdure.cli.grammar import ForgivingCommand, ForgivingGroup
from perdure.cli.main import perdure
from support.commands import command, value_of
from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess, checkout_environment

APP = """
@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")
"""


def test_version_is_only_the_number():
    for ended in (run_perdure("--version"), command("-v")):
        assert (ended.code, ended.out.strip()) == (0, __version__)


def test_help_has_an_example():
    ended = run_perdure()
    assert (ended.code, "Example: perdure" in ended.out) == (0, True), ended


@pytest.mark.parametrize(
    "line", [["-h"], ["--help"], ["-?"], ["help"], ["start", "-h"], ["help", "start"], ["host", "start", "--help"]]
)
def test_help_has_an_example_however_it_is_asked_for(line: list[str]):
    ended = command(*line)
    assert (ended.code, "Example: perdure" in ended.out) == (0, True), ended


def every_command(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    context = click.Context(group)
    for name in group.list_commands(context):
        command_ = group.get_command(context, name)
        if isinstance(command_, click.Group):
            yield from every_command(command_, (*words, name))
        else:
            yield (*words, name)


def test_every_command_helps_with_an_example():
    for words in every_command(perdure):
        ended = command(*words, "-?")
        assert ended.code == 0, ended
        assert "Example: perdure" in ended.out, ended
        assert "...\n" not in ended.out.partition("Options:")[2], ended.out


def test_group_alone_lists_what_it_holds():
    for words in (["durable"], ["help", "durable"], ["durable", "help"], ["DURABLE", "--help"]):
        ended = command(*words)
        assert (ended.code, "get-runtime-status" in ended.out) == (0, True), ended


def test_completion_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for shell, place in (("zsh", ".zshrc"), ("fish", ".config/fish/completions/perdure.fish")):
        monkeypatch.setenv("SHELL", f"/bin/{shell}")
        for _ in range(2):
            assert command("--install-completion").code == 0
        assert "perdure" in (tmp_path / place).read_text()
    assert len((tmp_path / ".zshrc").read_text().splitlines()) == 1
    monkeypatch.setenv("SHELL", "/bin/csh")
    assert command("--install-completion").code == 2


@pytest.mark.parametrize(
    ("word", "says"), [("strat", "Did you mean 'start'?"), ("frobnicate", "start"), ("verfy", "Did you mean 'verify'?")]
)
def test_unknown_command_names_the_nearest(word: str, says: str):
    ended = command(word)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.error_lines) <= 3


def test_commands_are_known_in_any_case(tmp_path: Path):
    assert "does not exist" in run_perdure("HOST", "Start", tmp_path / "nowhere").err


def test_options_may_be_given_with_an_equals_sign(tmp_path: Path):
    assert "nowhere" in run_perdure("start", f"--script-root={tmp_path / 'nowhere'}").err


def test_broken_pipe_ends_quietly():
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-m", "perdure", "--help"],
        env=checkout_environment(), stdout=write, stderr=subprocess.PIPE, timeout=30, check=False,
    )  # fmt: skip
    os.close(write)
    assert ended.stderr == b""


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_nobody_sees_them(tmp_path: Path, variable: str, value: str):
    ended = run_perdure("start", tmp_path / "nowhere", environment={variable: value})
    assert "\x1b" not in ended.err + ended.out


def test_internal_error_is_one_line_and_debug_shows_more(tmp_path: Path):
    app = write_app(tmp_path / "app", APP)
    (app / "broken").mkdir()
    (app / "sitecustomize.py").write_text("import perdure.storage.opening as o\ndel o.SqliteStorage\n")
    broken = {"PYTHONPATH": os.pathsep.join([str(app), checkout_environment()["PYTHONPATH"]])}
    ended = run_perdure("start", app, environment=broken)
    assert ended.code == 1
    assert len(ended.error_lines) == 1
    assert "NameError" in ended.err
    assert "--debug" in ended.err
    assert "Traceback" in run_perdure("start", app, "--debug", environment=broken).err


# perdure verify


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a host left when it ended."""
    app = write_app(tmp_path_factory.mktemp("left") / "app", APP)
    with HostProcess(app) as host:
        for number in range(3):
            host.start_instance(f"/api/start/waits/w{number}")
    host.log_file.unlink()
    return app


@pytest.fixture
def used_app(left_behind: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left_behind, tmp_path / "app"))


def test_verify_says_that_all_is_well(used_app: Path):
    for arguments in ([used_app], ["--store", f"sqlite:{used_app / '.perdure' / 'hub.db'}"]):
        ended = command("verify", *arguments, "--liveness")
        assert (ended.code, ended.out) == (0, "The store is sound.\n"), ended
    assert value_of("verify", used_app, "--json") == []
    assert run_perdure("verify", cwd=used_app).code == 0


def test_verify_names_what_is_damaged(used_app: Path):
    with closing(sqlite3.connect(used_app / ".perdure" / "hub.db")) as database:
        database.execute("update history set events = replace(events, 'waits', 'waitz')")
        database.execute(
            "update history set crc = crc + 1 where instance = (select number from instance where id='w1')"
        )
        database.commit()
    ended = run_perdure("verify", used_app)
    assert ended.code == 1
    assert "w1" in ended.out
    found = value_of("verify", used_app, "--json", code=1)
    assert {"kind", "instanceId", "what"} == found[0].keys()
    # The damaged instances are left alone, the host runs.
    with HostProcess(used_app) as host:
        assert host.http.post("/api/start/waits/fresh").status_code == 202
        assert host.http.get("/runtime/webhooks/durabletask/instances/fresh").status_code == 202


def test_verify_of_a_store_that_is_not_there(tmp_path: Path):
    ended = command("verify", tmp_path)
    assert ended.code == 3
    assert "hub.db" in ended.err
    assert len(ended.error_lines) <= 3
    assert not (tmp_path / ".perdure").exists()


# The start log


def test_start_shows_what_users_of_core_tools_look_for(used_app: Path):
    with HostProcess(used_app) as host:
        log = host.log()
        # A foreign name is refused on loopback.
        assert host.http.get("/admin/host/ping", headers={"Host": "evil.example"}).status_code in (400, 403, 421)
    assert f"perdure {__version__}   (Python " in log
    assert "durability full" in log
    assert f"SDK: perdure {__version__} serves azure.durable_functions" in log
    assert f"start: [POST] http://localhost:{host.port}/api/start/{{name}}/{{id}}" in log
    assert "waits: orchestrationTrigger" in log
    assert "Try: curl -X POST http://localhost" in log
    assert "\x1b" not in log


def test_options_of_a_start_are_heeded(used_app: Path):
    names = "localhost,127.0.0.1,good.example"
    with HostProcess(used_app, "--durability", "relaxed", "--functions", "start", "--allowed-hosts", names) as host:
        assert "durability relaxed" in host.log()
        assert "start: [POST]" in host.log()
        assert "waits: orchestrationTrigger" not in host.log()
        assert host.http.get("/admin/host/ping", headers={"Host": "good.example"}).status_code == 200
        assert host.http.get("/admin/host/ping", headers={"Host": "evil.example"}).status_code == 400


def test_no_auth_lets_it_listen_on_every_address(used_app: Path):
    with HostProcess(used_app, "--host", "0.0.0.0", "--no-auth", "--functions", "start", "waits") as host:
        assert host.http.get("/admin/host/ping", headers={"Host": "anything.example"}).status_code == 200
        assert "waits: orchestrationTrigger" in host.log()
        assert host.http.post("/api/start/waits/again").status_code == 202


def test_help_words_are_the_same_whoever_asks_first():
    for made in (ForgivingCommand("one"), ForgivingGroup("many")):
        option = made.get_help_option(click.Context(made))
        assert option is not None
        assert set(option.opts) == {"-h", "--help", "-?"}
