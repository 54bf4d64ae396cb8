"""HTTP functions through the ASGI door, in the real lanes."""

import asyncio
import contextlib
import json
import logging
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import azure.functions as func
import httpx
import pytest

from perdure.contracts.errors import LeaseLost, Overloaded, StorageError, StoreFull, Unavailable
from perdure.execution.threads import ThreadPool
from perdure.execution.user_loop import UserLoop
from perdure.formats.http_json import LinkTerms
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import ClientArgument, HttpFunction, OutputArgument, UserFunction
from perdure.functions.host_settings import HttpSettings
from perdure.functions.http_door import FunctionsApp
from perdure.functions.http_triggers import HttpTriggers
from perdure.functions.routes import RouteTable

T = TypeVar("T")

CLIENTS = ClientTexts(
    LinkTerms("http://localhost:7071/runtime/webhooks/durabletask", "ShopHub", "AzureWebJobsStorage"), "tok"
)


class Lanes:
    """The lanes that the host gives."""

    def __init__(self) -> None:
        self._pool = ThreadPool(4)
        self._loop = UserLoop()

    def run_sync(self, job: Callable[[], T]) -> Awaitable[T]:
        return self._pool.run(job)

    def run_async(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        return self._loop.run(begin)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._pool.stop()
        self._loop.stop()


def function(code: Callable[..., Any], route: str = "f", *methods: str, **call: Any) -> HttpFunction:
    reply_argument = call.pop("reply_argument", "$return")
    is_async = asyncio.iscoroutinefunction(code)
    described = UserFunction(code.__name__, code, "req", "/app", is_async=is_async, **call)
    return HttpFunction(described, route, methods, reply_argument=reply_argument)


@contextlib.asynccontextmanager
async def serving(
    *functions: HttpFunction,
    settings: HttpSettings | None = None,
    disabled: tuple[HttpFunction, ...] = (),
    **options: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings or HttpSettings()
    lanes = Lanes()
    lanes.start()
    routes, turned_off = (RouteTable(each, settings.route_prefix) for each in (functions, disabled))
    triggers = HttpTriggers(routes, lanes, CLIENTS, settings, turned_off)
    app = FunctionsApp(triggers, settings, **options)
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testhost:7071") as client:
            yield client
    finally:
        lanes.stop()


def ask(
    code: Callable[..., Any],
    path: str = "/api/f",
    method: str = "GET",
    *,
    describe: dict[str, Any] | None = None,
    route: str = "f",
    **request: Any,
) -> httpx.Response:
    async def talk() -> httpx.Response:
        async with serving(function(code, route, **(describe or {}))) as client:
            return await client.request(method, path, **request)

    return asyncio.run(talk())


def test_a_disabled_function_is_there_for_a_master_only() -> None:
    def on(req: func.HttpRequest) -> str:
        return "on"

    def off(req: func.HttpRequest) -> str:
        return "off"

    async def talk() -> list[tuple[int, str]]:
        described = function(off, "f"), function(off, "old")
        async with serving(
            function(on, "f"),
            disabled=described,
            admits=lambda scope, function: function.call.function is on,
            is_master=lambda scope: b"key" in scope["query_string"],
        ) as client:
            answers = [await client.get(path) for path in ("/api/old", "/api/old?key", "/api/f?key", "/api/no?key")]
            return [(answer.status_code, answer.text) for answer in answers]

    assert asyncio.run(talk()) == [(404, ""), (200, "off"), (200, "on"), (404, "")]


def test_the_function_sees_the_whole_request() -> None:
    seen: dict[str, Any] = {}

    def code(req: func.HttpRequest) -> str:
        seen.update(
            method=req.method,
            url=req.url,
            params=dict(req.params),
            route=dict(req.route_params),
            header=req.headers["X-Thing"],
            json=req.get_json(),
        )
        return "ok"

    ask(
        code,
        "/api/items/a%20b?x=1&x=2&empty=&y=%C3%A9",
        "POST",
        route="items/{id}/{more?}",
        headers=[("x-thing", "1"), ("X-Thing", "2")],
        json={"a": 1},
    )
    assert seen == {
        "method": "POST",
        "url": "http://testhost:7071/api/items/a%20b?x=1&x=2&empty=&y=%C3%A9",
        "params": {"x": "1,2", "empty": "", "y": "é"},
        "route": {"id": "a b"},
        "header": "1,2",
        "json": {"a": 1},
    }


def test_a_body_that_is_no_json_is_a_value_error() -> None:
    def code(req: func.HttpRequest) -> str:
        with pytest.raises(ValueError, match="valid JSON"):
            req.get_json()
        assert req.get_body() == b"\xff"
        return "ok"

    assert ask(code, method="POST", content=b"\xff").text == "ok"


def test_forms_are_read() -> None:
    def code(req: func.HttpRequest) -> str:
        return req.form["a"]

    assert ask(code, method="POST", data={"a": "1"}).text == "1"


def test_a_text_is_a_plain_text_response() -> None:
    response = ask(lambda req: "héllo")
    assert (response.status_code, response.text) == (200, "héllo")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("made", "status", "content_type", "body"),
    [
        (lambda: func.HttpResponse("x"), 200, "text/plain; charset=utf-8", b"x"),
        (lambda: func.HttpResponse(b"\x00", mimetype="image/png"), 200, "image/png", b"\x00"),
        (
            lambda: func.HttpResponse("é", mimetype="text/html", charset="latin-1"),
            200,
            "text/html; charset=latin-1",
            b"\xe9",
        ),
        (lambda: func.HttpResponse("{}", headers={"Content-Type": "application/json"}), 200, "application/json", b"{}"),
        (lambda: func.HttpResponse(status_code=404), 404, "text/plain; charset=utf-8", b""),
        (lambda: func.HttpResponse("ignored", status_code=204), 204, "text/plain; charset=utf-8", b""),
    ],
)
def test_responses(made: Callable[[], func.HttpResponse], status: int, content_type: str, body: bytes) -> None:
    response = ask(lambda req: made())
    assert (response.status_code, response.headers["content-type"], response.content) == (status, content_type, body)


def test_headers_are_kept_and_framing_is_ours() -> None:
    def code(req: Any) -> func.HttpResponse:
        response = func.HttpResponse("abc", headers={"Content-Length": "99", "X-Name": "wert €"})
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2")
        return response

    response = ask(code)
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers.get_list("content-length") == ["3"]
    assert (b"x-name", "wert €".encode()) in response.headers.raw


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "None"), ({"a": 1}, "a dict"), ([1], "a list"), (5, "a int"), (b"x", "a bytes")],
)
def test_other_results_are_500_without_a_body(value: Any, shown: str, caplog: pytest.LogCaptureFixture) -> None:
    response = ask(lambda req: value)
    assert (response.status_code, response.content) == (500, b"")
    assert f"The function returned {shown}; an HTTP function returns" in caplog.text


@pytest.mark.parametrize("status", [42, 199, 1000, "200", True])
def test_an_impossible_status_is_500(status: Any) -> None:
    assert ask(lambda req: func.HttpResponse("x", status_code=status)).status_code == 500


class Unshowable(BaseException):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "error", [ValueError("secret"), SystemExit(1), KeyboardInterrupt(), GeneratorExit(), Unshowable()]
)
@pytest.mark.parametrize("lane", ["thread", "loop"])
def test_what_a_function_raises_is_500_and_logged(
    error: BaseException, lane: str, caplog: pytest.LogCaptureFixture
) -> None:
    def plain(req: Any) -> str:
        raise error

    async def on_loop(req: Any) -> str:
        raise error

    code = plain if lane == "thread" else on_loop

    async def talk() -> list[httpx.Response]:
        async with serving(
            function(code, "bad"), function(_fine, "fine"), function(_fine_async, "fine_async")
        ) as client:
            return [await client.get(f"/api/{route}") for route in ("bad", "fine", "fine_async")]

    bad, *others = asyncio.run(talk())
    assert (bad.status_code, bad.content) == (500, b"")
    assert [response.text for response in others] == ["fine", "fine"]
    (failed,) = [record for record in caplog.records if "Failed" in record.getMessage()]
    assert re.match(
        rf"Executed 'Functions\.{code.__name__}' \(Failed, Id=\S+, Duration=\d+ms\)\n{type(error).__name__}: ",
        failed.getMessage(),
    )
    assert failed.exc_info is not None
    trace = logging.Formatter().formatException(failed.exc_info)
    assert "raise error" in trace
    assert "http_triggers.py" not in trace


def _fine(req: Any) -> str:
    return "fine"


async def _fine_async(req: Any) -> str:
    return "fine"


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable, 503), (StoreFull, 507), (Overloaded, 429), (LeaseLost, 500)]
)
def test_a_store_that_takes_nothing_now_is_no_failure_of_the_function(error: type[StorageError], status: int) -> None:
    def plain(req: func.HttpRequest) -> str:
        raise error("postgresql://user@server/database")

    async def asynchronous(req: func.HttpRequest) -> str:
        return plain(req)

    for code in (plain, asynchronous):
        response = ask(code)
        assert (response.status_code, response.content) == (status, b"")
        assert response.headers.get("retry-after") == (None if status == 500 else "1")


def test_a_function_that_cancels_itself_is_500() -> None:
    async def code(req: Any) -> str:
        raise asyncio.CancelledError

    assert ask(code).status_code == 500


def test_invocations_are_logged_with_one_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def code(req: Any, context: func.Context) -> str:
        return context.invocation_id

    invocation_id = ask(code, method="POST", describe={"wants_context": True}).text
    began, ended = [r.getMessage() for r in caplog.records if r.name == "perdure.functions.invocations"]
    assert began == f"Executing 'Functions.code' (Reason='HTTP POST', Id={invocation_id})"
    assert re.fullmatch(rf"Executed 'Functions\.code' \(Succeeded, Id={invocation_id}, Duration=\d+ms\)", ended)


def test_the_context() -> None:
    seen: dict[str, Any] = {}

    async def code(req: Any, context: func.Context) -> str:
        seen.update(
            name=context.function_name,
            directory=context.function_directory,
            parent=context.trace_context.trace_parent,
            parent_too=context.trace_context.Traceparent,  # type: ignore[attr-defined]
            local=context.thread_local_storage.invocation_id == context.invocation_id,
            retry=context.retry_context,
        )
        return ""

    ask(code, describe={"wants_context": True}, headers={"traceparent": "00-abc"})
    assert seen == {
        "name": "code",
        "directory": "/app",
        "parent": "00-abc",
        "parent_too": "00-abc",
        "local": True,
        "retry": None,
    }


def test_functions_run_beside_the_loop() -> None:
    names: list[str] = []

    def plain(req: Any) -> str:
        names.append(threading.current_thread().name)
        return ""

    async def on_loop(req: Any) -> str:
        names.append(threading.current_thread().name)
        return ""

    ask(plain)
    ask(on_loop)
    assert names[0].startswith("perdure-function")
    assert names[1].startswith("perdure-user-loop")


def test_durable_clients_receive_their_binding_text() -> None:
    seen: list[dict[str, Any]] = []

    def code(req: Any, client: str) -> str:
        seen.append(json.loads(client))
        return ""

    for hub in (None, "shophub"):
        ask(code, describe={"clients": (ClientArgument("client", hub),)})
    assert [text["perdureClient"] for text in seen] == ["tok", "tok"]
    assert seen[0]["taskHubName"] == "ShopHub"
    assert seen[0]["managementUrls"]["id"] == "INSTANCEID"


def test_a_client_for_another_hub_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    response = ask(lambda req, client: "", describe={"clients": (ClientArgument("client", "Other"),)})
    assert response.status_code == 500
    assert "task hub 'Other'; this host serves 'ShopHub' only" in caplog.text


def test_a_missing_binding_is_named_and_the_function_not_called(caplog: pytest.LogCaptureFixture) -> None:
    called: list[Any] = []
    response = ask(lambda req, blob: called.append(blob), describe={"missing": ("blob input",)})
    assert (response.status_code, called) == (500, [])
    assert "needs what does not exist here: blob input" in caplog.text


def test_outputs_may_be_logged_instead(caplog: pytest.LogCaptureFixture) -> None:
    def code(req: Any, out: func.Out[str]) -> str:
        out.set("for the queue")
        return out.get()

    response = ask(code, describe={"outputs": (OutputArgument("out", "queue"),)})
    assert response.text == "for the queue"
    assert "set its queue output 'out', which is only logged: 'for the queue'" in caplog.text


def test_the_response_may_be_an_output() -> None:
    def code(req: Any, res: func.Out[func.HttpResponse]) -> None:
        if req.params.get("set"):
            res.set(func.HttpResponse("set", status_code=201))

    describe = {"reply_argument": "res"}
    assert ask(code, "/api/f?set=1", describe=describe).status_code == 201
    assert ask(code, describe=describe).status_code == 204
    assert ask(lambda req, res: "value", describe=describe).status_code == 500


def test_unknown_routes_methods_and_the_home_page() -> None:
    async def talk() -> list[httpx.Response]:
        async with serving(function(_fine, "fine", "POST")) as client:
            found = [await client.get("/api/nope"), await client.get("/api/fine"), await client.get("/")]
        async with serving(has_home_page=False) as client:
            return [*found, await client.get("/")]

    nope, wrong_method, home, no_home = asyncio.run(talk())
    assert (nope.status_code, nope.content) == (404, b"")
    assert (wrong_method.status_code, wrong_method.content) == (404, b"")
    assert home.status_code == 200
    assert "text/html" in home.headers["content-type"]
    assert no_home.status_code == 204


def test_bodies_over_the_limit_are_413() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 10

    async def talk() -> list[int]:
        async with serving(function(_fine, "fine"), body_bytes_max=30) as client:
            answers = [
                await client.post("/api/fine", content=b"x" * 30),
                await client.post("/api/fine", content=b"x" * 31),
                await client.post("/api/fine", content=chunks()),
            ]
            return [answer.status_code for answer in answers]

    assert asyncio.run(talk()) == [200, 413, 413]


def test_limits_on_requests() -> None:
    running: list[int] = []
    entered = threading.Semaphore(0)
    leave = threading.Event()

    def slow(req: Any) -> str:
        running.append(1)
        entered.release()
        leave.wait(10)
        running.pop()
        return "done"

    async def talk() -> list[int]:
        limits = HttpSettings(max_outstanding_requests=2, max_concurrent_requests=1)
        async with serving(function(slow, "slow"), settings=limits) as client:
            first = asyncio.create_task(client.get("/api/slow"))
            await asyncio.to_thread(entered.acquire)
            others = [asyncio.create_task(client.get("/api/slow")) for _ in range(2)]
            (refused,), (queued,) = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
            assert len(running) == 1
            leave.set()
            return [(await task).status_code for task in (first, queued, refused)]

    assert asyncio.run(talk()) == [200, 200, 429]


def test_custom_headers_are_on_every_response() -> None:
    async def talk() -> list[httpx.Headers]:
        settings = HttpSettings(custom_headers={"X-Frame-Options": "DENY"})
        async with serving(function(_fine, "fine"), settings=settings) as client:
            return [(await client.get(path)).headers for path in ("/api/fine", "/api/nope")]

    assert [headers["x-frame-options"] for headers in asyncio.run(talk())] == ["DENY", "DENY"]


def test_an_asgi_app_serves_through_the_door() -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = f"{scope['method']} {scope['path']}".encode()
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body})

    middleware = func.AsgiMiddleware(asgi)

    async def http_app_func(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        return await middleware.handle_async(req, context)

    async def talk() -> httpx.Response:
        described = function(http_app_func, "/{*route}", wants_context=True)
        async with serving(described, settings=HttpSettings(route_prefix="")) as client:
            return await client.put("/some/where")

    response = asyncio.run(talk())
    assert (response.status_code, response.text) == (201, "PUT /some/where")
