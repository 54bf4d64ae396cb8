"""Orchestrators, activities and entities that do what they must not: they alone fail, with cause; the host lives."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.host_apps import write_app
from support.host_process import HostProcess

DURABLE = "/runtime/webhooks/durabletask"
APP = r'''
import asyncio
import os
import signal
import sys
import threading
import time


@app.orchestration_trigger(context_name="context")
def raises(context):
    yield context.call_activity("echo", 1)
    raise KeyError("the key")

@app.orchestration_trigger(context_name="context")
def raises_at_once(context):
    raise ValueError("no generator at all")

@app.orchestration_trigger(context_name="context")
def yields_number(context):
    yield 42

@app.orchestration_trigger(context_name="context")
def yields_list(context):
    yield [context.call_activity("echo", 1), context.call_activity("echo", 2)]

@app.orchestration_trigger(context_name="context")
def yields_coroutine(context):
    async def job():
        return 1
    waiting = job()
    try:
        yield waiting
    finally:
        waiting.close()

@app.orchestration_trigger(context_name="context")
def yields_nothing(context):
    yield

class Foreign:
    def __await__(self):
        yield "foreign"

@app.orchestration_trigger(context_name="context")
async def awaits_foreign(context):
    await Foreign()

@app.orchestration_trigger(context_name="context")
async def awaits_asyncio(context):
    await asyncio.sleep(0.01)

@app.orchestration_trigger(context_name="context")
def returns_unserializable(context):
    yield context.call_activity("echo", 1)
    return threading.Lock()

@app.orchestration_trigger(context_name="context")
def returns_huge(context):
    return "x" * (17 * 1024 * 1024)
    yield

@app.orchestration_trigger(context_name="context")
def exits(context):
    yield context.call_activity("echo", 1)
    sys.exit(3)

@app.orchestration_trigger(context_name="context")
def interrupts(context):
    raise KeyboardInterrupt
    yield

@app.orchestration_trigger(context_name="context")
def sleeps(context):
    time.sleep(0.3)
    return "slept"
    yield

@app.orchestration_trigger(context_name="context")
def catches_generator_exit(context):
    try:
        yield context.wait_for_external_event("never")
    except GeneratorExit:
        yield context.call_activity("echo", "from beyond")

@app.orchestration_trigger(context_name="context")
def recursion(context):
    def deeper():
        return deeper()
    return deeper()
    yield

@app.orchestration_trigger(context_name="context")
def bad_custom_status(context):
    context.set_custom_status(threading.Lock())
    yield context.call_activity("echo", 1)

@app.orchestration_trigger(context_name="context")
def calls(context):
    """Calls one activity and tells what it got."""
    name, value = context.get_input()
    try:
        result = yield context.call_activity(name, value)
    except Exception as error:
        return {"failed": str(error)}
    return {"result": result if not isinstance(result, str) else result[:100]}

@app.orchestration_trigger(context_name="context")
def calls_child(context):
    try:
        yield context.call_sub_orchestrator(context.get_input())
    except Exception as error:
        return {"failed": str(error)}

@app.orchestration_trigger(context_name="context")
def calls_entity(context):
    name, operation = context.get_input()
    entity = df.EntityId(name, context.instance_id)
    try:
        yield context.call_entity(entity, "set", 1)
        yield context.call_entity(entity, operation)
        outcome = "nothing failed"
    except Exception as error:
        outcome = str(error)
    try:
        left = yield context.call_entity(entity, "get")
    except Exception as error:
        left = str(error)
    return [outcome, left]


class Unpicklable(Exception):
    def __init__(self, message, other):
        super().__init__(message)
        self.lock = threading.Lock()
        self.other = other

    def __reduce__(self):
        raise TypeError("not me")


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Ending(BaseException):
    pass


@app.activity_trigger(input_name="value")
def echo(value):
    return value

@app.activity_trigger(input_name="value")
def unpicklable(value):
    raise Unpicklable("with a lock inside", value)

@app.activity_trigger(input_name="value")
def unspeakable(value):
    raise Unspeakable

@app.activity_trigger(input_name="value")
def base_exception(value):
    raise Ending("of everything")

@app.activity_trigger(input_name="value")
async def base_exception_async(value):
    raise Ending("of everything")

@app.activity_trigger(input_name="value")
def exits_def(value):
    sys.exit(4)

@app.activity_trigger(input_name="value")
async def exits_async(value):
    sys.exit(4)

@app.activity_trigger(input_name="value")
async def cancels_itself(value):
    asyncio.current_task().cancel()
    await asyncio.sleep(10)

@app.activity_trigger(input_name="value")
async def stops_the_loop(value):
    asyncio.get_running_loop().stop()
    return "stopped"

@app.activity_trigger(input_name="value")
def unserializable(value):
    return threading.Lock()

@app.activity_trigger(input_name="value")
def not_a_number(value):
    return float("nan")

@app.activity_trigger(input_name="value")
def huge(value):
    return "x" * (17 * 1024 * 1024)

@app.activity_trigger(input_name="value")
def large(value):
    return "x" * (15 * 1024 * 1024)

@app.activity_trigger(input_name="value")
def writes_much(value):
    line = "y" * 999 + "\n"
    for _ in range(100 * 1024):
        sys.stdout.write(line)
    return "written"

@app.activity_trigger(input_name="value")
def closes_output(value):
    saved, sys.stdout = sys.stdout, None
    try:
        print("to nowhere")
    finally:
        sys.stdout = saved
    return "closed"

@app.activity_trigger(input_name="value")
def goes_elsewhere(value):
    os.chdir("/")
    return os.getcwd()

@app.activity_trigger(input_name="value")
def changes_signals(value):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

@app.activity_trigger(input_name="value")
def forks(value):
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@app.entity_trigger(context_name="context")
def thing(context):
    operation = context.operation_name
    if operation == "set":
        context.set_state(context.get_input())
    elif operation == "get":
        context.set_result(context.get_state())
    elif operation == "raise_after_change":
        context.set_state(2)
        raise ValueError("after the change")
    elif operation == "state_unserializable":
        context.set_state(threading.Lock())
    elif operation == "result_unserializable":
        context.set_state(3)
        context.set_result(threading.Lock())
    elif operation == "exit":
        context.set_state(4)
        sys.exit(1)
    else:
        raise NotImplementedError(f"no operation {operation}")
'''


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    with HostProcess(write_app(tmp_path_factory.mktemp("wrong") / "app", APP)) as host:
        yield host
        # After all that was done to it, it still runs an ordinary instance.
        assert run(host, "calls", ["echo", "alive"])["output"] == {"result": "alive"}


count = iter(range(10_000))


def run(host: HostProcess, name: str, value: Any = None) -> dict[str, Any]:
    return host.finished(host.start_instance(f"/api/start/{name}/{name}-{next(count)}", value))


@pytest.mark.parametrize(
    ("orchestrator", "says"),
    [
        ("raises", ["the key"]),
        ("raises_at_once", ["no generator at all"]),
        ("yields_number", ["int", "function_app.py", "line"]),
        ("yields_list", ["list", "function_app.py", "line"]),
        ("yields_coroutine", ["coroutine", "function_app.py", "line"]),
        ("yields_nothing", ["NoneType", "function_app.py", "line"]),
        ("awaits_foreign", ["awaited a value of type 'str'", "function_app.py", "line"]),
        ("awaits_asyncio", ["no running event loop"]),
        ("returns_unserializable", ["lock"]),
        ("returns_huge", ["17825794 bytes", "16777216"]),
        ("exits", ["3"]),
        ("interrupts", ["KeyboardInterrupt"]),
        ("recursion", ["recursion depth"]),
        ("bad_custom_status", ["lock"]),
    ],
)
def test_orchestrator_fails_and_says_why(host: HostProcess, orchestrator: str, says: list[str]):
    status = run(host, orchestrator)
    assert status["runtimeStatus"] == "Failed", status
    assert status["output"].startswith(f"Orchestrator function '{orchestrator}' failed: "), status
    for text in says:
        assert text in status["output"], status["output"]
    assert "site-packages" not in status["output"]
    assert "/perdure/" not in status["output"]


def test_orchestrator_that_sleeps_is_only_slow(host: HostProcess):
    assert run(host, "sleeps")["output"] == "slept"


def test_orchestrator_that_catches_generator_exit_harms_nobody(host: HostProcess):
    links = host.start_instance("/api/start/catches_generator_exit/catcher")
    host.wait_for(links, lambda status: status["runtimeStatus"] == "Running", "it waits")
    assert host.http.post(f"{DURABLE}/instances/catcher/terminate?reason=enough").status_code == 202
    assert host.finished(links)["runtimeStatus"] == "Terminated"


@pytest.mark.parametrize(
    ("activity", "says"),
    [
        ("unpicklable", "with a lock inside"),
        ("unspeakable", "Unspeakable"),
        ("base_exception", "of everything"),
        ("base_exception_async", "of everything"),
        ("exits_def", "4"),
        ("exits_async", "4"),
        ("cancels_itself", "Cancelled"),
        ("unserializable", "lock"),
        ("not_a_number", "Out of range float"),
        ("huge", "17825794 bytes"),
        ("ecko", "echo"),
    ],
)
def test_activity_fails_the_task_and_the_orchestrator_can_catch_it(host: HostProcess, activity: str, says: str):
    output = run(host, "calls", [activity, 1])["output"]
    assert says in output.get("failed", ""), output


@pytest.mark.parametrize(
    ("activity", "result"),
    [
        ("large", "x" * 100),
        ("writes_much", "written"),
        ("closes_output", "closed"),
        ("stops_the_loop", "stopped"),
        ("goes_elsewhere", "/"),
        ("forks", 0),
    ],
)
def test_activity_that_is_rude_harms_nobody(host: HostProcess, activity: str, result: Any):
    assert run(host, "calls", [activity, 1])["output"] == {"result": result}
    assert run(host, "calls", ["cancels_itself", 1])["output"].keys() == {"failed"}
    assert run(host, "calls", ["echo", 1])["output"] == {"result": 1}


def test_activity_cannot_take_the_signals(host: HostProcess):
    # Python refuses it on any thread but the first; the host's clean stop at the end of this file proves the rest.
    assert "main thread" in run(host, "calls", ["changes_signals", 1])["output"]["failed"]


def test_unknown_child_is_a_failure_that_names_those_known(host: HostProcess):
    assert "yields_list" in run(host, "calls_child", "yield_list")["output"]["failed"]


def test_unknown_orchestrator_is_refused_at_the_door(host: HostProcess):
    answer = host.http.post(f"{DURABLE}/orchestrators/yield_list")
    assert answer.status_code == 400
    assert "yields_list" in answer.json()["ExceptionMessage"]


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        ("unheard", "no operation unheard"),
        ("raise_after_change", "after the change"),
        ("state_unserializable", "lock"),
        ("result_unserializable", "lock"),
        ("exit", "1"),
    ],
)
def test_entity_operation_fails_and_the_state_is_as_before(host: HostProcess, operation: str, says: str):
    outcome, left = run(host, "calls_entity", ["thing", operation])["output"]
    assert says in outcome, outcome
    assert left == 1


def test_unknown_entity_is_a_failure_and_a_refused_signal(host: HostProcess):
    outcome, _ = run(host, "calls_entity", ["thinq", "get"])["output"]
    assert "thing" in outcome, outcome
    assert host.http.post(f"{DURABLE}/entities/thinq/k?op=set").status_code == 400
