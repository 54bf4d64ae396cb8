"""`perdure start`: time limit, JSON logs, options of other worlds (cli.md §3)."""

import json
from pathlib import Path

import pytest

from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess

APP = """
import logging


@app.activity_trigger(input_name="what")
def speaks(what):
    logging.getLogger("shop").warning("packing %s", what)
    try:
        raise ValueError("no tea")
    except ValueError:
        logging.exception("it went wrong")
    return what


@app.orchestration_trigger(context_name="context")
def ships(context):
    return (yield context.call_activity("speaks", "tea \\u2028"))
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


def records(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.split("\n") if line.startswith("{")]


def check_records(found: list[dict[str, str]]) -> None:
    warning = next(record for record in found if record["message"].startswith("packing tea"))
    assert (warning["level"], warning["category"]) == ("Warning", "Function.speaks.User")
    assert warning["timestamp"].endswith("Z")
    failure = next(record for record in found if record["message"] == "it went wrong")
    assert (failure["level"], failure["exception"].splitlines()[-1]) == ("Error", "ValueError: no tea")


def test_log_lines_as_json(app: Path):
    with HostProcess(app, "--enable-json-output") as host:
        host.completed(host.start_instance("/api/start/ships/s1"))
        check_records(records(host.log()))


def test_log_lines_as_json_in_a_file(app: Path, tmp_path: Path):
    in_time = ("-t", "20", "--no-build", "true")
    with HostProcess(app, "--json-output-file", str(tmp_path / "log.json"), "--verbose=false", *in_time) as host:
        host.completed(host.start_instance("/api/start/ships/s1"))
        assert "packing tea" in host.log()
        assert records(host.log()) == []
    check_records(records((tmp_path / "log.json").read_text()))


def test_log_file_that_cannot_be_written(app: Path, tmp_path: Path):
    ended = run_perdure("start", app, "--json-output-file", tmp_path / "nowhere" / "log.json")
    assert (ended.code, len(ended.error_lines)) == (1, 1), ended


def test_start_that_takes_too_long_is_given_up(tmp_path: Path):
    app = write_app(tmp_path / "app", "import time\ntime.sleep(60)\n")
    ended = run_perdure("start", app, "--timeout", "0.5")
    assert (ended.code, "not ready in 0.5 s" in ended.err) == (1, True), ended
