"""Real app folders, imported in this process; what would end it runs in a process of its own."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perdure.functions.app_loader import load_app
from perdure.functions.app_settings import AppSettings
from perdure.functions.descriptions import AuthLevel, LoadedApp
from perdure.functions.load_errors import AppLoadError
from perdure.functions.schedules import CronSchedule

HEADER = """
import azure.functions as func
import azure.durable_functions as df
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""

Load = Callable[..., LoadedApp]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Write function_app.py and load it; afterwards this process is as it was."""
    folder, path, modules = Path.cwd(), list(sys.path), set(sys.modules)

    def write_and_load(code: str, *, allowed: list[str] | None = None, **settings: str) -> LoadedApp:
        (tmp_path / "function_app.py").write_text(HEADER + textwrap.dedent(code))
        return load_app(tmp_path, AppSettings(settings), allowed=allowed)

    yield write_and_load
    os.chdir(folder)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def _refusal(load: Load, code: str, **settings: str) -> str:
    with pytest.raises(AppLoadError) as refused:
        load(code, **settings)
    return str(refused.value)


def test_describes_every_kind_of_function(load: Load) -> None:
    app = load(
        """
        @app.route(route="orchestrators/{functionName}", methods=["POST", "GET"])
        @app.durable_client_input(client_name="client")
        async def http_start(req: func.HttpRequest, client):
            ...

        @app.route(auth_level=func.AuthLevel.FUNCTION)
        def plain(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
            ...

        @app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *", run_on_startup=True)
        def tick(timer: func.TimerRequest) -> None:
            ...

        @app.orchestration_trigger(context_name="context")
        def hello_orchestrator(context):
            yield context.call_activity("hello", "x")

        @app.orchestration_trigger(context_name="ctx", orchestration="Renamed")
        async def other_orchestrator(ctx):
            ...

        @app.activity_trigger(input_name="city", activity="Greet")
        def hello(city: str) -> str:
            return "Hello " + city

        @app.function_name("waiter")
        @app.activity_trigger(input_name="seconds")
        async def wait(seconds):
            ...

        @app.entity_trigger(context_name="context", entity_name="Counter")
        def counter(context):
            ...
        """
    )
    assert app.script == "function_app.py"
    http = {f.call.name: f for f in app.http}
    assert http["http_start"].route == "orchestrators/{functionName}"
    assert http["http_start"].methods == ("POST", "GET")
    assert http["http_start"].auth_level is AuthLevel.ANONYMOUS
    assert http["http_start"].call.is_async
    assert [c.name for c in http["http_start"].call.clients] == ["client"]
    assert (http["plain"].route, http["plain"].methods) == ("plain", ())
    assert http["plain"].auth_level is AuthLevel.FUNCTION
    assert http["plain"].call.wants_context
    assert not http["plain"].call.is_async
    (timer,) = app.timers
    assert isinstance(timer.schedule, CronSchedule)
    assert timer.runs_on_startup
    assert timer.is_monitored
    assert {o.name: o.definition.name for o in app.orchestrators} == {
        "hello_orchestrator": "hello_orchestrator",
        "other_orchestrator": "Renamed",
    }
    assert {a.call.name: a.registered_name for a in app.activities} == {"hello": "Greet", "waiter": "waiter"}
    assert app.activities[0].call.expected_type is str
    assert [e.definition.name for e in app.entities] == ["Counter"]
    assert app.warnings == ()


def test_function_apps_and_blueprints_of_azure_functions_work_too(load: Load) -> None:
    app = load(
        """
        del app
        blueprint = df.Blueprint()

        @blueprint.activity_trigger(input_name="x")
        def act(x):
            return x

        main = func.FunctionApp()

        @main.orchestration_trigger(context_name="context")
        def orch(context):
            ...

        main.register_functions(blueprint)
        same_again = main
        """
    )
    assert [o.name for o in app.orchestrators] == ["orch"]
    assert [a.call.name for a in app.activities] == ["act"]


def test_an_asgi_app_is_an_http_function(load: Load) -> None:
    app = load(
        """
        async def asgi(scope, receive, send): ...
        app = func.AsgiFunctionApp(app=asgi, http_auth_level=func.AuthLevel.ANONYMOUS)
        """
    )
    (function,) = app.http
    assert function.route == "/{*route}"
    assert set(function.methods) == {"GET", "POST", "DELETE", "HEAD", "PATCH", "PUT", "OPTIONS"}
    assert function.call.wants_context


def test_the_app_sees_its_own_folder(load: Load, tmp_path: Path) -> None:
    (tmp_path / "shop_prices.py").write_text("PRICE = 7\n")
    app = load(
        """
        import os, shop_prices
        assert os.path.samefile(os.getcwd(), os.path.dirname(__file__))
        assert __name__ == "function_app"

        @app.route(route=f"price/{shop_prices.PRICE}")
        def price(req): ...
        """
    )
    assert app.http[0].route == "price/7"


def test_the_script_may_have_another_name(tmp_path: Path, load: Load) -> None:
    (tmp_path / "my-app.py").write_text(HEADER)
    app = load_app(tmp_path, AppSettings({"PYTHON_SCRIPT_FILE_NAME": "my-app.py"}))
    assert app.warnings == ("No functions were found in my-app.py.",)


@pytest.mark.parametrize("name", ["../app.py", "app", ".py", "a b.py", "json.py"])
def test_script_names_are_checked(tmp_path: Path, name: str) -> None:
    (tmp_path / "json.py").write_text("")
    with pytest.raises(AppLoadError, match=name.replace("..", "").strip("/")):
        load_app(tmp_path, AppSettings({"PYTHON_SCRIPT_FILE_NAME": name}))


def test_a_folder_without_an_app(tmp_path: Path) -> None:
    with pytest.raises(AppLoadError, match=r"There is no function_app\.py in"):
        load_app(tmp_path, AppSettings({}))
    with pytest.raises(AppLoadError, match="does not exist"):
        load_app(tmp_path / "nowhere", AppSettings({}))


def test_decorated_functions_win_over_folders(tmp_path: Path, load: Load) -> None:
    (tmp_path / "Old").mkdir()
    (tmp_path / "Old" / "function.json").write_text("{}")
    app = load("@app.route()\ndef new(req): ...")
    assert any("ignored: Old" in warning for warning in app.warnings)
    assert [function.call.name for function in app.http] == ["new"]


def test_settings_are_put_into_bindings(load: Load) -> None:
    app = load(
        """
        @app.timer_trigger(arg_name="timer", schedule="%WHEN%")
        def tick(timer): ...

        @app.route(route="%PLACE%/{id}")
        def http(req): ...
        """,
        WHEN="00:10:00",
        PLACE="here",
    )
    assert app.timers[0].schedule_text == "00:10:00"
    assert app.http[0].route == "here/{id}"


def test_disabled_and_not_allowed_functions(load: Load) -> None:
    code = """
        @app.route()
        def one(req): ...

        @app.activity_trigger(input_name="x")
        def two(x): ...

        @app.activity_trigger(input_name="x")
        def three(x): ...
        """
    app = load(code, **{"AzureWebJobs.one.Disabled": "true", "AzureWebJobs_Two_Disabled": "1"})
    assert [f.name for f in app.disabled] == ["one", "two"]
    assert not app.http
    assert [a.call.name for a in app.activities] == ["three"]
    app = load(code, allowed=["ONE", "nope"])
    assert [f.call.name for f in app.http] == ["one"]
    assert not app.activities
    assert any("unknown ones: nope" in warning for warning in app.warnings)


def test_triggers_and_bindings_that_do_not_exist_here(load: Load) -> None:
    code = """
        @app.queue_trigger(arg_name="message", queue_name="q", connection="C")
        def on_queue(message): ...

        @app.activity_trigger(input_name="x")
        @app.blob_input(arg_name="blob", path="p", connection="C")
        def reads(x, blob): ...

        @app.route()
        @app.queue_output(arg_name="out", queue_name="q", connection="C")
        def writes(req, out: func.Out[str]): ...
        """
    app = load(code)
    assert [(f.name, f.trigger) for f in app.foreign] == [("on_queue", "queueTrigger")]
    assert app.activities[0].call.missing == ("blob input",)
    assert app.http[0].call.missing == ("queue output",)
    assert len(app.warnings) == 1
    assert "on_queue (queueTrigger)" in app.warnings[0]
    assert load(code, PERDURE_OUTPUT_BINDINGS="log").http[0].call.missing == ()


def test_timers_that_fire_often_are_not_monitored(load: Load) -> None:
    app = load(
        """
        @app.timer_trigger(arg_name="timer", schedule="*/10 * * * * *")
        def often(timer): ...

        @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *", use_monitor=False)
        def unmonitored(timer): ...
        """
    )
    assert not any(timer.is_monitored for timer in app.timers)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def broken(:\n    pass", ["could not be imported: SyntaxError", "function_app.py", "def broken(:"]),
        ("raise ValueError('no luck')", ["ValueError: no luck", 'function_app.py", line', "raise ValueError"]),
        ("import sys\nsys.exit(3)", ["ended itself while it was imported: sys.exit(3)"]),
        ("class E(BaseException): pass\nraise E()", ["could not be imported: E"]),
        (
            "import no_such_package_anywhere",
            [
                "ModuleNotFoundError",
                "Hint: 'no_such_package_anywhere' is not installed here",
                "Modules are looked for in",
            ],
        ),
        ("from azure.functions import Nope", ["ImportError", "Hint: check requirements.txt"]),
        ("app2 = func.FunctionApp()", ["more than one function app: app, app2"]),
        ("del app", ["has no function app"]),
        ("del app\nbp = func.Blueprint()", ["has no function app", "app.register_functions(bp)"]),
        (
            "@app.route()\n@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\ndef both(req): ...\n"
            "@app.route()\ndef fine(req): ...",
            [
                "already registered",
                "It concerns function 'both' (function_app.py, line 5)",
                "Other functions in that file: fine",
            ],
        ),
    ],
)
def test_what_goes_wrong_at_import(load: Load, code: str, expected: list[str]) -> None:
    refusal = _refusal(load, code)
    for text in expected:
        assert text in refusal
    assert "perdure/functions" not in refusal.replace("Modules are looked for in", "")
    assert "importlib" not in refusal


def test_an_error_in_a_module_of_the_app_shows_its_chain(load: Load, tmp_path: Path) -> None:
    (tmp_path / "broken_prices.py").write_text(
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('p') from e\n"
    )
    refusal = _refusal(load, "import broken_prices")
    assert "broken_prices.py" in refusal
    assert "ZeroDivisionError" in refusal
    assert "perdure/functions" not in refusal


def test_a_circular_import_of_the_app(load: Load, tmp_path: Path) -> None:
    (tmp_path / "circle_a.py").write_text("import circle_b\nA = 1\n")
    (tmp_path / "circle_b.py").write_text("from circle_a import A\n")
    refusal = _refusal(load, "import circle_a")
    assert "circular import" in refusal
    assert "import each other" in refusal


FINE = """
        @app.activity_trigger(input_name="x")
        def fine(x): ...
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "@app.function_name('none')\n@app.durable_client_input(client_name='c')\nasync def lost(c): ...",
            ["does not have a trigger"],
        ),
        ("@app.route()\ndef same(req): ...\n@app.function_name('same')\n@app.route()\ndef other(req): ...", ["'same'"]),
        (
            "@app.route()\ndef same(req): ...\n@app.route()\ndef SAME(req): ...",
            ["has the same name ('SAME')", "line 7", "line 5"],
        ),
        (
            "@app.activity_trigger(input_name='x', activity='fine')\ndef again(x): ...",
            ["function 'fine'", "has the same name ('activity fine') as the one in function_app.py"],
        ),
        ("@app.route(route='a/{b')\ndef f(req): ...", ["function 'f' (function_app.py, line 5)", "opening brace"]),
        ("@app.route(route='{id:nope}')\ndef f(req): ...", ["the constraint 'nope' does not exist"]),
        ("@app.route()\ndef f(request): ...", ["has no parameter 'req'"]),
        ("@app.route()\ndef f(req, extra): ...", ["has the parameter 'extra', which is no binding"]),
        (
            "@app.route()\n@app.durable_client_input(client_name='starter')\nasync def f(req, client): ...",
            ["no parameter 'starter'"],
        ),
        ("@app.route()\ndef f(req, /): ...", ["positional-only parameter 'req'"]),
        ("@app.route()\ndef f(req: int): ...", ["annotates 'req' as int; it receives a func.HttpRequest"]),
        ("@app.route()\ndef f(req) -> dict: ...", ["says that it returns dict"]),
        ("@app.route()\ndef f(req, context: dict): ...", ["annotates 'context' as dict"]),
        ("@app.route()\ndef f(req: 'Missing'): ...", ["has an annotation that cannot be read: NameError"]),
        (
            "@app.route()\n@app.queue_output(arg_name='o', queue_name='q', connection='C')\ndef f(req, o: str): ...",
            ["must annotate its output 'o' as func.Out[...]"],
        ),
        (
            "@app.activity_trigger(input_name='x')\ndef f(x: func.Out[str]): ...",
            ["annotates its input 'x' as func.Out"],
        ),
        ("@app.timer_trigger(arg_name='t', schedule='soon')\ndef f(t): ...", ["has the schedule 'soon'"]),
        ("@app.timer_trigger(arg_name='t', schedule='%NOPE%')\ndef f(t): ...", ["'%NOPE%' names no app setting"]),
        ("@app.timer_trigger(arg_name='t', schedule='0 0 0 31 2 *')\ndef f(t): ...", ["never occurs"]),
        ("@app.function_name('1x')\n@app.route()\ndef f(req): ...", ["function '1x'", "a name that is not allowed"]),
        ("@app.function_name('Host')\n@app.route()\ndef f(req): ...", ["a name that is not allowed"]),
        (
            "@app.generic_trigger(arg_name='context', type='orchestrationTrigger')\ndef f(context): ...",
            ["was not made by the durable SDK of this host"],
        ),
    ],
)
def test_functions_that_cannot_be_indexed(load: Load, code: str, expected: list[str]) -> None:
    refusal = _refusal(load, code + "\n" + textwrap.dedent(FINE))
    assert "function_app.py" in refusal
    for text in expected:
        assert text in refusal
    assert "Without problems: " in refusal


def test_all_problems_are_named_at_once(load: Load) -> None:
    refusal = _refusal(load, "@app.route()\ndef a(): ...\n@app.route(route='{')\ndef b(req): ...")
    assert "function 'a'" in refusal
    assert "function 'b'" in refusal


def test_an_unknown_time_zone(load: Load) -> None:
    assert "'Mars/Base' is not an IANA time zone" in _refusal(load, "", WEBSITE_TIME_ZONE="Mars/Base")
    assert any("timers run by UTC" in warning for warning in load("", TZ=":/etc/localtime").warnings)


ENDLESS = """
import sys
from pathlib import Path
from perdure.functions.app_loader import load_app
from perdure.functions.app_settings import AppSettings
load_app(Path(sys.argv[1]), AppSettings({}), import_seconds=0.3)
"""


@pytest.mark.parametrize(
    "loop", ["while True: pass", "import time\nwhile True:\n    try: time.sleep(99)\n    except BaseException: pass"]
)
def test_an_import_that_never_ends_ends_the_process(tmp_path: Path, loop: str) -> None:
    (tmp_path / "function_app.py").write_text(f"def spin():\n{textwrap.indent(loop, '    ')}\nspin()\n")
    command = [sys.executable, "-c", ENDLESS, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, env=_environment())
    assert ended.returncode == 1
    assert "still being imported after 0.3 s" in ended.stderr
    assert "in spin" in ended.stderr
    assert "perdure/functions" not in ended.stderr


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
