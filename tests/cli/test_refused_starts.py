"""Starts that cannot be: each says what is wrong, where and what to do, in at most three lines, with its exit code."""

import shutil
import signal
import socket
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from support.commands import command
from support.host_apps import Ended, run_perdure, write_app
from support.host_process import HostProcess, free_port, wait_until

FAILURE, USAGE, STORE = 1, 2, 3
APP = """
@app.orchestration_trigger(context_name="context")
def nothing(context):
    return "done"
    yield
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


def start(app: Path, *arguments: str, port: int | None = None) -> Ended:
    return run_perdure("start", app, "--port", str(port or free_port()), *arguments)


def check_refusal(ended: Ended, code: int, *says: str, lines_max: int = 3) -> None:
    assert ended.code == code, ended
    assert 1 <= len(ended.error_lines) <= lines_max, ended.err
    for text in says:
        assert text in ended.err, ended.err
    assert "Traceback" not in ended.err
    assert "site-packages" not in ended.err
    assert "/perdure/" not in ended.err


def test_app_folder_that_is_not_there(tmp_path: Path):
    check_refusal(start(tmp_path / "nowhere"), FAILURE, "nowhere", "does not exist")


def test_folder_without_an_app(tmp_path: Path):
    check_refusal(start(tmp_path), FAILURE, "function_app.py", "perdure start APP_DIR")


def test_second_process_on_one_store_names_the_first(app: Path):
    began = time.monotonic()
    with HostProcess(app) as holder:
        started = time.monotonic()
        ended = start(app)
        took = time.monotonic() - started
        check_refusal(ended, STORE, f"process {holder.pid}", f"http://localhost:{holder.port}", "hub.db", "--store")
    # It waits for nobody: however slow the machine, a refusal takes no longer than a few starts.
    assert took < 5 * (started - began)


def test_an_app_of_another_language(app: Path):
    settings = '{"IsEncrypted": false, "Values": {"FUNCTIONS_WORKER_RUNTIME": "node"}}'
    (app / "local.settings.json").write_text(settings)
    check_refusal(start(app), FAILURE, "FUNCTIONS_WORKER_RUNTIME", "'node'", "Python")


def test_port_in_use(app: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check_refusal(start(app, port=port), FAILURE, f"Port {port} is in use", f"--port {port + 1}")


def test_keys_cannot_be_both_on_and_off(app: Path):
    check_refusal(start(app, "--enableAuth", "--no-auth"), USAGE, "--enableAuth", "--no-auth")


def test_keys_that_others_may_read(app: Path):
    keys = app / ".perdure" / "hub.db.keys"
    keys.mkdir(parents=True)
    (keys / "host.json").write_text("{}")
    (keys / "host.json").chmod(0o644)
    check_refusal(start(app, "--enableAuth"), FAILURE, "host.json", "chmod 600")


def test_address_that_is_a_name(app: Path):
    check_refusal(start(app, "--host", "example.org"), USAGE, "'example.org'", "127.0.0.1")


def test_address_of_another_machine(app: Path):
    check_refusal(start(app, "--host", "192.0.2.7", "--no-auth"), FAILURE, "Cannot listen on 192.0.2.7")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://root:secret@db/hub", "sqlite:PATH"),
        ("postgresql:/me:secret@db/hub", "sqlite:PATH"),
    ],
)
def test_store_url_that_names_none(app: Path, url: str, says: str):
    ended = start(app, "--store", url)
    check_refusal(ended, STORE, says)
    assert "secret" not in ended.err + ended.out


def test_store_in_a_folder_that_cannot_be_made(app: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    check_refusal(start(app, "--store", f"sqlite:{tmp_path / 'file' / 'hub.db'}"), STORE, "file")


def test_store_that_is_no_store(app: Path, tmp_path: Path):
    (tmp_path / "text.db").write_text("Some text that is long enough to be no database at all. " * 40)
    check_refusal(start(app, "--store", f"sqlite:{tmp_path / 'text.db'}"), STORE, "text.db")


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a host left when it ended."""
    app = write_app(tmp_path_factory.mktemp("left") / "app", APP)
    with HostProcess(app) as host:
        for number in range(20):
            host.completed(host.start_instance(f"/api/start/nothing/n{number}"))
    return app


@pytest.fixture
def used_store(left_behind: Path, app: Path) -> Path:
    shutil.copytree(left_behind / ".perdure", app / ".perdure")
    return app / ".perdure" / "hub.db"


def test_store_of_a_newer_version(app: Path, used_store: Path):
    with sqlite3.connect(used_store) as database:
        tables = database.execute("select name from sqlite_master where type = 'table'").fetchall()
        assert tables
        (version,) = database.execute("pragma user_version").fetchone()
        database.execute(f"pragma user_version = {version + 1}")
    database.close()
    check_refusal(start(app), STORE, str(version + 1), "newer")
    check_refusal(run_perdure("verify", app), STORE, str(version + 1), "newer")


def test_store_cut_off_in_the_middle(app: Path, used_store: Path):
    size = used_store.stat().st_size
    with used_store.open("r+b") as file:
        file.truncate(size // 2)
    ended = run_perdure("verify", app)
    assert ended.code in (FAILURE, STORE), ended
    assert "sound" not in ended.out
    assert "Traceback" not in ended.err


def test_options_that_are_not_known(app: Path):
    check_refusal(start(app, "--prot", "7072"), USAGE, "--prot", "--port")
    check_refusal(command("start", app, "--port", "70000"), USAGE, "70000")
    check_refusal(command("start", app, "--durability", "none"), USAGE, "none", "full")
    check_refusal(command("start", app, "other"), USAGE, "'other'")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"version": "2.0",}', ("host.json", "line 1, column 19")),
        ('{"version": "2.0", "extensions": {"durableTask": {"maxConcurrentActivityFunctions": -1}}}', ("host.json",)),
    ],
)
def test_host_json_that_is_wrong(app: Path, text: str, says: tuple[str, ...]):
    (app / "host.json").write_text(text)
    check_refusal(start(app), FAILURE, *says)


def test_what_does_not_stop_a_start_is_a_note(app: Path):
    (app / "host.json").write_text('{"version": "2.0", "extensions": {"durableTask": {"hubNme": "Shop"}}}')
    (app / "local.settings.json").write_text('{"Values": {"A": }}')
    with HostProcess(app) as host:
        log = host.log()
    assert "hubNme" in log
    assert "hubName" in log
    assert "Note: local.settings.json is not valid JSON (Expecting value at line 1, column 18)" in log


# What the app itself does wrong: its own traceback, without our frames, and what to do.


def check_app_failure(ended: Ended, *says: str) -> None:
    assert ended.code == FAILURE, ended
    for text in says:
        assert text in ended.err, ended.err
    for line in ended.error_lines:
        if line.lstrip().startswith("File "):
            assert "/perdure/" not in line
            assert "importlib" not in line
    assert "Functions:" not in ended.out


def test_app_that_raises(tmp_path: Path):
    app = write_app(tmp_path, "def connect():\n    raise RuntimeError('no database')\n\nconnect()\n")
    check_app_failure(start(app), "function_app.py could not be imported: RuntimeError: no database", "in connect")


def test_app_with_a_syntax_error(tmp_path: Path):
    app = write_app(tmp_path, "def broken(:\n    pass\n")
    check_app_failure(start(app), "SyntaxError", "function_app.py", "def broken(:")


def test_app_that_exits(tmp_path: Path):
    check_app_failure(start(write_app(tmp_path, "import sys\nsys.exit(0)\n")), "ended itself", "sys.exit(0)")


def test_app_that_misses_a_package(tmp_path: Path):
    app = write_app(tmp_path, "import a_package_that_nobody_has\n")
    (app / "requirements.txt").write_text("a-package-that-nobody-has\n")
    check_app_failure(
        start(app), "'a_package_that_nobody_has' is not installed here", f"{sys.executable} -m pip install -r"
    )


def test_app_that_imports_in_a_circle(tmp_path: Path):
    app = write_app(tmp_path, "import shop\n\nrate = 2\n")
    (app / "shop.py").write_text("from function_app import rate\n")
    check_app_failure(start(app), "shop.py", "import each other")


def test_app_that_ends_the_process(tmp_path: Path):
    ended = start(write_app(tmp_path, "import os\nos._exit(7)\n"))
    assert ended.code == 7


def test_functions_that_are_declared_wrong(tmp_path: Path):
    app = write_app(
        tmp_path,
        """
        @app.activity_trigger(input_name="city")
        def hello(town):
            return town

        @app.activity_trigger(input_name="city")
        def good(city):
            return city
        """,
    )
    check_app_failure(start(app), "hello", "city", "function_app.py", "good")


def test_two_functions_of_one_name(tmp_path: Path):
    twice = """
    @app.activity_trigger(input_name="city")
    def hello(city):
        return city
    """
    check_app_failure(start(write_app(tmp_path, twice + twice)), "hello", "function_app.py")


def test_app_that_waits_for_ever_can_be_interrupted(tmp_path: Path):
    app = write_app(tmp_path, "import time\nprint('importing', flush=True)\ntime.sleep(600)\n")
    host = HostProcess(app)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            host.launch()
            wait_until(lambda: "importing" in host.log(), "the import has begun", about=host.log)
            host.send_signal(number)
            assert host.ended(limit=5) not in (0, 1)
            host.log_file.unlink()
    finally:
        host.kill()
        host.http.close()


@pytest.mark.slow
def test_app_that_never_ends_its_import(tmp_path: Path):
    began = time.monotonic()
    ended = run_perdure(
        "start", write_app(tmp_path, "def spin():\n    while True:\n        pass\n\nspin()\n"), limit=45
    )
    check_app_failure(ended, "still being imported after 30 s", "in spin")
    assert time.monotonic() - began < 40


def test_store_can_be_moved_with_its_folder(app: Path, used_store: Path, tmp_path: Path):
    copy = Path(shutil.copytree(app, tmp_path / "copy"))
    with HostProcess(copy) as host:
        assert host.http.get("/runtime/webhooks/durabletask/instances/n0").json()["output"] == "done"
