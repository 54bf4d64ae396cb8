"""The Functions programming model in the running host: limits, logs, foreign triggers, web frameworks, processes."""

from pathlib import Path

import pytest

from support.host_apps import write_app
from support.host_process import HostProcess, wait_until

APP = """
import asyncio
import logging
import os
import threading
import time

log = logging.getLogger("shop.orders")


@app.route(route="sleeps")
def sleeps(req: func.HttpRequest) -> str:
    time.sleep(30)
    return "late"


@app.route(route="waits")
async def waits(req: func.HttpRequest) -> str:
    await asyncio.sleep(30)
    return "late"


@app.route(route="quick")
def quick(req: func.HttpRequest) -> str:
    print("printed by quick")
    return "quick"


@app.activity_trigger(input_name="seconds")
def sleep(seconds):
    time.sleep(seconds)


@app.orchestration_trigger(context_name="context")
def catches(context):
    try:
        yield context.call_activity("sleep", 30)
    except TimeoutError as error:
        return f"caught {error}"
    except Exception as error:
        return str(error)


tries = []


@app.orchestration_trigger(context_name="context")
def sticks(context):
    given = yield context.wait_for_external_event("go")
    if not context.is_replaying:
        tries.append(given)
    if len(tries) == 1:
        threading.Event().wait()
    yield context.call_activity("sleep", 0)
    return [given, len(tries)]


@app.orchestration_trigger(context_name="context")
def tells(context):
    log.info("first line of %s", context.instance_id)
    logging.info("root line of %s", context.instance_id)
    yield context.call_activity("sleep", 0)
    log.warning("second line of %s", context.instance_id)
    yield context.wait_for_external_event("go")
    log.info("third line of %s", context.instance_id)
    return "told"


@app.orchestration_trigger(context_name="context")
def fails(context):
    yield context.call_activity("sleep", 0)
    raise ValueError("a wrong order")


@app.queue_trigger(arg_name="msg", queue_name="orders", connection="AzureWebJobsStorage")
def on_queue(msg: func.QueueMessage) -> None:
    log.info("from the queue: %s", msg.get_body().decode())


@app.route(route="needs_blob")
@app.blob_input(arg_name="blob", path="files/x", connection="AzureWebJobsStorage")
def needs_blob(req: func.HttpRequest, blob: func.InputStream) -> str:
    return "never"


@app.route(route="sets_queue")
@app.queue_output(arg_name="out", queue_name="orders", connection="AzureWebJobsStorage")
def sets_queue(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set("an order")
    return "set"
"""

HOST_JSON = """{
  "version": "2.0",
  "functionTimeout": "00:00:01",
  "logging": {"logLevel": {"Function.tells": "Information"}},
  "extensions": {"http": {"customHeaders": {"X-Shop": "open"}}}
}"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory):
    app = write_app(tmp_path_factory.mktemp("model") / "app", APP, host_json=HOST_JSON)
    with HostProcess(app) as running:
        yield running


@pytest.mark.parametrize("route", ["sleeps", "waits"])
def test_http_functions_that_overrun_answer_500(host: HostProcess, route: str):
    answer = host.http.get(f"/api/{route}")
    assert (answer.status_code, answer.content) == (500, b"")
    assert f"Executed 'Functions.{route}' (Failed: timed out)" in host.log()
    assert host.http.get("/api/quick").text == "quick"


def test_activities_that_overrun_fail_with_a_time_out(host: HostProcess):
    links = host.start_instance("/api/start/catches/late-1")
    output = host.completed(links)["output"]
    assert "Activity 'sleep' failed. It has not returned within 0:00:01, the functionTimeout in host.json." in output


def test_turns_that_overrun_are_tried_again_on_another_thread(host: HostProcess):
    links = host.start_instance("/api/start/sticks/sticks-1")
    host.awaits_event(links)
    host.http.post(links["sendEventPostUri"].replace("{eventName}", "go"), json=1)
    assert host.completed(links)["output"] == [1, 2]
    assert "'sticks' (instance 'sticks-1') has not returned within functionTimeout" in host.log()
    assert "threading.Event().wait()" in host.log(), "it says where the code is"


def test_a_line_of_an_orchestrator_appears_once(host: HostProcess):
    links = host.start_instance("/api/start/tells/teller-1")
    # A line of a turn that a kill takes back would be written again.
    host.awaits_event(links)
    host.kill()
    host.start()
    host.http.post(links["sendEventPostUri"].replace("{eventName}", "go"), json=1)
    assert host.completed(links)["output"] == "told"
    log = host.log()
    for line in ("first line of", "root line of", "second line of", "third line of"):
        assert log.count(f"{line} teller-1") == 1, line


def test_a_failed_orchestration_is_an_error_in_the_log(host: HostProcess):
    links = host.start_instance("/api/start/fails/failing-1")
    assert host.finished(links)["runtimeStatus"] == "Failed"
    wait_until(lambda: "'fails' (instance 'failing-1') failed" in host.log(), "it is logged", about=host.log)
    assert "ValueError: a wrong order" in host.log()


def test_what_a_function_prints_is_shown(host: HostProcess):
    host.http.get("/api/quick")
    assert "printed by quick" in host.log()


def test_custom_headers(host: HostProcess):
    assert host.http.get("/api/quick").headers["X-Shop"] == "open"


def test_other_triggers_and_bindings(host: HostProcess):
    log = host.log()
    assert "on_queue: queueTrigger (not run here)" in log
    assert "(needs blob input)" in log
    assert log.count("have triggers that do not exist here and are not run: on_queue (queueTrigger)") >= 1
    for name, needed in (("needs_blob", "blob input"), ("sets_queue", "queue output")):
        assert host.http.get(f"/api/{name}").status_code == 500
        assert f"Function '{name}' needs what does not exist here: {needed}" in host.log()


def test_outputs_are_logged_when_asked_for(tmp_path: Path):
    app = write_app(tmp_path / "app", APP)
    (app / "local.settings.json").write_text('{"IsEncrypted": false, "Values": {"PERDURE_OUTPUT_BINDINGS": "log"}}')
    with HostProcess(app) as host:
        assert host.http.get("/api/sets_queue").text == "set"
        assert "set its queue output 'out', which is only logged: 'an order'" in host.log()


STARLETTE = """
import azure.functions as func
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def order(request):
    body = await request.body()
    return JSONResponse({"id": request.path_params["id"], "q": request.query_params.get("q"), "body": body.decode()})


web = Starlette(routes=[Route("/orders/{id}", order, methods=["POST", "GET"])])
app = func.AsgiFunctionApp(app=web, http_auth_level=func.AuthLevel.ANONYMOUS)
"""

WSGI = """
import azure.functions as func


def web(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size).decode()
    start_response("201 Created", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
    return [f"{environ['REQUEST_METHOD']} {environ['QUERY_STRING']} {body}".encode()]


app = func.WsgiFunctionApp(app=web, http_auth_level=func.AuthLevel.ANONYMOUS)
"""

NO_PREFIX = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'


def test_an_asgi_app(tmp_path: Path):
    app = write_app(tmp_path / "app", STARLETTE, head="", host_json=NO_PREFIX)
    with HostProcess(app) as host:
        answer = host.http.post("/orders/7?q=x", content=b"two")
        assert (answer.status_code, answer.json()) == (200, {"id": "7", "q": "x", "body": "two"})
        assert host.http.get("/nowhere").status_code == 404
        assert host.http.get("/admin/host/ping").status_code == 200


def test_a_wsgi_app(tmp_path: Path):
    app = write_app(tmp_path / "app", WSGI, head="", host_json=NO_PREFIX)
    with HostProcess(app) as host:
        answer = host.http.put("/some/where?q=x", content=b"two")
        assert (answer.status_code, answer.text) == (201, "PUT q=x two")
        assert answer.headers["X-Path"] == "/some/where"


PROCESSES = """
import os
import time
from pathlib import Path


@app.activity_trigger(input_name="what")
def where(what) -> int:
    return os.getpid()


@app.activity_trigger(input_name="what")
async def async_where(what) -> int:
    return os.getpid()


@app.activity_trigger(input_name="what")
def occupies(what) -> int:
    Path("occupied").write_text(str(os.getpid()))
    while not Path("let_go").exists():
        time.sleep(0.01)
    return os.getpid()


@app.activity_trigger(input_name="what")
def is_beside(what) -> bool:
    # The second process may not be ready yet.
    occupied = Path("occupied")
    time.sleep(0.01)
    return occupied.exists() and occupied.read_text() not in ("", str(os.getpid()))


@app.activity_trigger(input_name="what")
def lets_go(what) -> int:
    Path("let_go").touch()
    return os.getpid()


@app.activity_trigger(input_name="what")
def crash(what):
    os._exit(9)


@app.activity_trigger(input_name="what")
def told(what, context: func.Context) -> str:
    return f"{what['a']} {context.function_name}"


@app.orchestration_trigger(context_name="context")
def everywhere(context):
    occupying = context.call_activity("occupies", None)
    is_beside = False
    while not is_beside:
        looking = context.call_activity("is_beside", None)
        yield context.task_any([occupying, looking])
        is_beside = looking.result
    other = yield context.call_activity("lets_go", None)
    pids = [(yield occupying), other]
    own = yield context.call_activity("async_where", None)
    text = yield context.call_activity("told", {"a": "ä"})
    try:
        yield context.call_activity("crash", None)
        failure = None
    except Exception as error:
        failure = str(error)
    pids.append((yield context.call_activity("where", None)))
    return {"pids": pids, "own": own, "text": text, "failure": failure}
"""


def test_plain_activities_run_in_worker_processes(tmp_path: Path):
    app = write_app(tmp_path / "app", PROCESSES)
    (app / "local.settings.json").write_text(
        '{"IsEncrypted": false, "Values": {"FUNCTIONS_WORKER_PROCESS_COUNT": "2"}}'
    )
    with HostProcess(app) as host:
        output = host.completed(host.start_instance("/api/start/everywhere/all-1"))["output"]
        assert output["own"] == host.pid
        pids = output["pids"]
        assert host.pid not in pids
        assert pids[0] != pids[1], "who has nothing to do is given what comes while the other is occupied"
        assert output["text"] == "ä told"
        assert "its worker process ended (exit code 9) while it ran" in output["failure"]
        host.kill()
        wait_until(lambda: not any(_is_alive(pid) for pid in pids), "no worker process is left", limit=5)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
