"""Apps of folders with a function.json: imported in this process, called as the host calls them."""

import asyncio
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure.core.registry import ActivityCall, Registry
from perdure.formats.http_json import LinkTerms
from perdure.functions.activities import fill_registry
from perdure.functions.app_loader import load_app
from perdure.functions.app_settings import AppSettings
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import LoadedApp
from perdure.functions.load_errors import AppLoadError
from perdure.functions.sdk_side import OWN_SDK

Write = Callable[..., None]
Load = Callable[..., LoadedApp]

ACTIVITY = {"name": "name", "type": "activityTrigger", "direction": "in"}
ORCHESTRATION = {"name": "context", "type": "orchestrationTrigger", "direction": "in"}
HTTP = {"name": "req", "type": "httpTrigger", "direction": "in", "authLevel": "anonymous"}
HTTP_RETURN = {"name": "$return", "type": "http", "direction": "out"}
STARTER = {"name": "starter", "type": "orchestrationClient", "direction": "in"}

HELLO = "def main(name: str) -> str:\n    return f'Hello {name}'\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write one function's folder."""

    def write_function(
        name: str, bindings: list[dict[str, Any]], code: str | None = HELLO, *, file: str = "__init__.py", **rest: Any
    ) -> None:
        folder = tmp_path / name
        folder.mkdir()
        written = {"scriptFile": file, "bindings": bindings, **rest}
        (folder / "function.json").write_text(json.dumps({k: v for k, v in written.items() if v is not None}))
        if code is not None:
            (folder / file).write_text(textwrap.dedent(code))

    return write_function


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Load what was written; afterwards this process is as it was."""
    folder, path, modules = Path.cwd(), list(sys.path), set(sys.modules)
    yield lambda allowed=None, **settings: load_app(tmp_path, AppSettings(settings), allowed=allowed)
    os.chdir(folder)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        module_file = str(getattr(sys.modules[name], "__file__", ""))
        if str(tmp_path) in module_file or name.partition(".")[0] == "__app__":
            del sys.modules[name]


def broken(app: LoadedApp) -> dict[str, str]:
    return {function.name: function.reason for function in app.broken}


def test_every_kind_of_function(write: Write, load: Load) -> None:
    write("Hello", [ACTIVITY])
    write(
        "Chain",
        [ORCHESTRATION],
        """
        import azure.durable_functions as df

        def orchestrator_function(context: df.DurableOrchestrationContext):
            return (yield context.call_activity("Hello", "x"))

        main = df.Orchestrator.create(orchestrator_function)
        """,
    )
    write(
        "Counter",
        [{"name": "context", "type": "entityTrigger", "direction": "in"}],
        """
        import azure.durable_functions as df

        def entity_function(context):
            context.set_state(1)

        main = df.Entity.create(entity_function)
        """,
    )
    write(
        "Start",
        [{**HTTP, "route": "begin/{functionName}", "methods": ["post"]}, HTTP_RETURN, STARTER],
        """
        import azure.functions as func

        async def main(req: func.HttpRequest, starter: str, context: func.Context) -> func.HttpResponse:
            return func.HttpResponse(starter)
        """,
    )
    write(
        "Tick",
        [{"name": "timer", "type": "timerTrigger", "direction": "in", "schedule": "%WHEN%", "runOnStartup": True}],
        "def main(timer): ...",
        retry={"strategy": "exponentialBackoff", "maxRetryCount": 3, "minimumInterval": "00:00:01",
               "maximumInterval": "00:00:05"},
    )  # fmt: skip
    app = load(WHEN="0 */5 * * * *")
    assert app.script is None
    assert app.warnings == ()
    assert broken(app) == {}
    assert [(a.call.name, a.registered_name, a.call.function(name="you")) for a in app.activities] == [
        ("Hello", "Hello", "Hello you")
    ]
    assert [o.definition.name for o in app.orchestrators] == ["Chain"]
    assert [e.definition.name for e in app.entities] == ["Counter"]
    (start,) = app.http
    assert (start.route, start.methods, start.reply_argument) == ("begin/{functionName}", ("POST",), "$return")
    assert [client.name for client in start.call.clients] == ["starter"]
    assert start.call.is_async
    assert start.call.wants_context
    assert Path(start.call.directory).name == "Start"
    (tick,) = app.timers
    assert tick.schedule_text == "0 */5 * * * *"
    assert tick.runs_on_startup
    assert tick.retry is not None
    assert [tick.retry.delay(n).total_seconds() for n in range(4)] == [1, 2, 4, 5]
    assert (tick.retry.allows(2), tick.retry.allows(3)) == (True, False)


NATIVE = """from azure import durable_functions as df
from durabletask import task
from durabletask.entities import DurableEntity
"""


def test_functions_of_two_arguments_are_native(write: Write, load: Load) -> None:
    write("Named", [ACTIVITY], "def main(ctx, name): return [ctx.orchestration_id, ctx.task_id, dict(ctx.tags), name]")
    write("Said", [ACTIVITY], f"{NATIVE}async def main(context: task.ActivityContext, text: str): return text")
    write("Plain", [ACTIVITY], "def main(name, context): return [name, context.function_name]")
    write("Starts", [ACTIVITY, STARTER], "def main(starter, name): return name")
    write("Flow", [ORCHESTRATION], f"{NATIVE}def flow(ctx, n: int): return n\nmain = df.Orchestrator.create(flow)")
    counter = {"name": "context", "type": "entityTrigger", "direction": "in"}
    write("Counter", [counter], f"{NATIVE}class C(DurableEntity): pass\nmain = df.Entity.create(C)")
    app = load()
    assert app.broken == ()
    registry = Registry()
    fill_registry(app, registry, OWN_SDK.codec(), ClientTexts(LinkTerms("http://h", "hub", "s"), "token"))
    call = ActivityCall("order-1", 3, "Named", '"Ada"', tags={"team": "a"})
    assert json.loads(registry.activity("Named").run(call)) == ["order-1", 3, {"team": "a"}, "Ada"]
    assert asyncio.run(registry.activity("Said").run(call)) == '"Ada"'
    assert json.loads(registry.activity("Plain").run(call)) == ["Ada", "Plain"]
    assert json.loads(registry.activity("Starts").run(call)) == "Ada"
    assert registry.orchestrator("Flow").policy.first_task_id == 1
    assert [entity.definition.name for entity in app.entities] == ["Counter"]


def test_two_arguments_that_fit_nothing_and_decorated_functions_are_told(write: Write, load: Load) -> None:
    write("Good", [ACTIVITY])
    write("Extra", [ACTIVITY], "def main(name, other): ...")
    decorated = "import azure.durable_functions as df\napp = df.Blueprint()\n@app.activity_trigger('name')\n"
    decorated += "def main(name): ..."
    write("Decorated", [ACTIVITY], decorated, file="steps.py")
    reasons = broken(load())
    assert "has the parameter 'other', which is no binding of it" in reasons["Extra"]
    assert "its entry point 'main' in steps.py is decorated, yet here function.json says" in reasons["Decorated"]


def test_shared_code_is_found_in_every_way(write: Write, load: Load, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "__init__.py").write_text("")
    (tmp_path / "shared" / "words.py").write_text("GREETING = 'Hi'\n\ndef spoken(name):\n    return name.upper()\n")
    write("Own", [ACTIVITY], "from .helper import WORD\n\ndef main(name):\n    return WORD\n")
    (tmp_path / "Own" / "helper.py").write_text("WORD = 'own'\n")
    write("Up", [ACTIVITY], "from ..shared import words\n\ndef main(name):\n    return words.GREETING\n")
    write("Package", [ACTIVITY], "from __app__.shared.words import GREETING\n\ndef main(name):\n    return GREETING\n")
    write("Plain", [ACTIVITY], "from shared.words import GREETING\n\ndef main(name):\n    return GREETING\n")
    write("Elsewhere", [ACTIVITY], None, file="../shared/words.py", entryPoint="spoken")
    write("my-script", [ACTIVITY], "def main(name):\n    return __name__\n", file="code.py")
    app = load()
    assert broken(app) == {}
    assert {a.call.name: a.call.function(name="x") for a in app.activities} == {
        "Own": "own",
        "Up": "Hi",
        "Package": "Hi",
        "Plain": "Hi",
        "Elsewhere": "X",
        "my-script": "__app__.my-script.code",
    }


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["only.py"], "only"),
        (["__init__.py", "run.py", "other.py"], "run"),
        (["__init__.py", "sample.dat"], "__init__"),
    ],
)
def test_the_script_when_none_is_named(write: Write, load: Load, tmp_path: Path, files: list[str], chosen: str) -> None:
    write("Hello", [ACTIVITY], None, file=None)
    for file in files:
        (tmp_path / "Hello" / file).write_text(f"def main(name):\n    return {file.partition('.')[0]!r}\n")
    (activity,) = load().activities
    assert activity.call.function(name="x") == chosen


def test_one_bad_function_leaves_out_only_itself(write: Write, load: Load, tmp_path: Path) -> None:
    write("Good", [ACTIVITY])
    write("BadJson", [ACTIVITY, {**ACTIVITY, "name": "other"}])
    write("NoFile", [ACTIVITY], None, file="missing.py")
    write("Outside", [ACTIVITY], None, file="../../x.py")
    write("TwoFiles", [ACTIVITY], "", file="a.py", **{"scriptFile": None})
    (tmp_path / "TwoFiles" / "b.py").write_text("")
    write("NoEntry", [ACTIVITY], "x = 1")
    write("Raises", [ACTIVITY], "def helper():\n    raise KeyError('wrong key')\n\nhelper()\n")
    write("Exits", [ACTIVITY], "import sys\nsys.exit(4)\n")
    write("Missing", [ACTIVITY], "import not_there_at_all\n")
    write("WrongName", [ACTIVITY], "def main(city): ...")
    write("Bare", [ORCHESTRATION], "def main(context):\n    yield\n")
    write("NoSetting", [{**HTTP, "route": "%NOWHERE%"}], "def main(req): ...")
    write("BadRetry", [{"name": "t", "type": "timerTrigger", "schedule": "00:01:00"}], "def main(t): ...",
          retry={"strategy": "fixedDelay", "maxRetryCount": "many"})  # fmt: skip
    write("good", [ACTIVITY])
    app = load()
    assert [a.call.name for a in app.activities] == ["Good"]
    reasons = broken(app)
    expected = {
        "BadJson": "BadJson/function.json, line 1, column ",
        "NoFile": "scriptFile is 'missing.py', and there is no such file",
        "Outside": "outside the app's folder",
        "TwoFiles": "no run.py and no __init__.py but a.py, b.py",
        "NoEntry": "its entry point is 'main', and __init__.py has no such name",
        "Raises": "KeyError: 'wrong key'",
        "Exits": "Exits/__init__.py ended itself while it was imported: sys.exit(4)",
        "Missing": "'not_there_at_all' is not installed here",
        "WrongName": "(WrongName/function.json) has no parameter 'name'",
        "Bare": "df.Orchestrator.create",
        "NoSetting": "'%NOWHERE%' names no app setting",
        "BadRetry": "retry policy that has the maxRetryCount 'many'",
        "good": "has the same function name ('good') as the folder Good",
    }
    assert reasons.keys() == expected.keys()
    for name, text in expected.items():
        assert text in reasons[name], name
        assert name in reasons[name]
    assert "helper()" in reasons["Raises"]
    assert "importlib" not in reasons["Raises"]
    assert len(app.warnings) == len(expected)


def test_an_app_in_which_nothing_is_right_does_not_start(write: Write, load: Load) -> None:
    write("Bad", [])
    with pytest.raises(AppLoadError, match=r"None of the app's functions can run.\n.*Bad/function\.json"):
        load()


def test_disabled_and_allowed_functions(write: Write, load: Load) -> None:
    write("A", [ACTIVITY], disabled=True)
    write("B", [ACTIVITY], disabled="%B_OFF%")
    write("C", [ACTIVITY], disabled="C_OFF")
    write("D", [ACTIVITY])
    write("E", [ACTIVITY], disabled=False)
    write("F", [ACTIVITY], "raise RuntimeError")
    app = load(["a", "B", "C", "d", "E"], B_OFF="1", C_OFF="false", **{"AzureWebJobs.D.Disabled": "true"})
    assert [d.name for d in app.disabled] == ["A", "B", "D"]
    assert [a.call.name for a in app.activities] == ["C", "E"]
    assert app.broken == ()


def test_folders_run_when_the_script_has_no_functions(write: Write, load: Load, tmp_path: Path) -> None:
    write("Hello", [ACTIVITY])
    (tmp_path / "function_app.py").write_text("import azure.functions as func\napp = func.FunctionApp()\n")
    app = load()
    assert [a.call.name for a in app.activities] == ["Hello"]
    assert any("No functions were found in function_app.py; the folders" in warning for warning in app.warnings)


def test_http_outputs(write: Write, load: Load) -> None:
    write("Return", [HTTP, HTTP_RETURN], "def main(req): ...")
    write("Out", [HTTP, {**HTTP_RETURN, "name": "res"}],
          "import azure.functions as func\ndef main(req, res: func.Out[func.HttpResponse]): ...")  # fmt: skip
    write("NoOut", [HTTP], "def main(req): ...")
    write("Twice", [HTTP, HTTP_RETURN, {**HTTP_RETURN, "name": "res"}], "def main(req, res): ...")
    app = load()
    assert {h.call.name: h.reply_argument for h in app.http} == {"Return": "$return", "Out": "res", "NoOut": None}
    assert "has 2 http outputs" in broken(app)["Twice"]


def test_two_apps_in_one_process_do_not_see_each_other(write: Write, load: Load, tmp_path: Path) -> None:
    write("Hello", [ACTIVITY])
    load()
    other = tmp_path / "other"
    (other / "Hello").mkdir(parents=True)
    (other / "Hello" / "function.json").write_text(json.dumps({"bindings": [ACTIVITY]}))
    (other / "Hello" / "__init__.py").write_text("def main(name):\n    return 'other'\n")
    (activity,) = load_app(other, AppSettings({})).activities
    assert activity.call.function(name="x") == "other"
