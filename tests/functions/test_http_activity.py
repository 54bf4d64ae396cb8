"""The activity behind call_http against real local servers: what is sent, what is given back, what never leaves."""

import asyncio
import gzip
import json
import socket
import subprocess
import sys
import types
from datetime import timedelta

import pytest

from perdure.core.errors import NotRegistered
from perdure.core.registry import ActivityCall, Registry
from perdure.functions import http_activity
from perdure.functions.app_settings import AppSettings
from perdure.functions.http_activity import HttpCallFailed, HttpCallOptions, http_activity_definition
from perdure.functions.outgoing_addresses import AddressRules, read_rules
from support.host_process import checkout_environment, free_port
from support.web_server import Asked, Reply, WebServer

SECRETS = {"Authorization": "Bearer mine", "Cookie": "a=b", "Proxy-Authorization": "p", "X-Functions-Key": "k"}


def call(uri: str, options: HttpCallOptions | None = None, **request):
    """Run the activity as the host does."""
    definition = http_activity_definition(options or HttpCallOptions())
    text = json.dumps({"method": "GET", "content": None, "headers": None, **request, "uri": uri})
    return json.loads(asyncio.run(definition.run(ActivityCall("i1", 0, definition.name, text))))


def ok(_: Asked) -> Reply:
    return Reply(200, b"fine", {"Content-Type": "text/plain"})


def secrets_in(asked: Asked) -> set[str]:
    return {name for name in asked.headers if name in {secret.lower() for secret in SECRETS}}


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 404, 500, 503])
def test_every_status_is_an_answer(status):
    with WebServer(lambda asked: Reply(status, b"" if status in (204, 304) else b"body", {"X-One": "1"})) as server:
        answer = call(f"{server.url}/a?b=c")

    assert answer["statusCode"] == status
    assert answer["headers"]["X-One"] == "1"
    assert answer["content"] == ("" if status in (204, 304) else "body")
    assert (server.asked[0].method, server.asked[0].path) == ("GET", "/a?b=c")


def test_content_and_headers_arrive():
    with WebServer(ok) as server:
        call(server.url, method="post", content='{"ä": 1}', headers={"X-Trace": "7", "Accept": "application/json"})
        call(server.url, method="PUT", content="<a/>", headers={"content-type": "text/xml", "Content-Length": "99"})

    first, second = server.asked
    assert (first.method, first.body, first.headers["content-type"]) == ("POST", '{"ä": 1}', "text/plain")
    assert (first.headers["x-trace"], first.headers["accept"]) == ("7", "application/json")
    assert (second.method, second.body, second.headers["content-type"]) == ("PUT", "<a/>", "text/xml")


def test_texts_are_read_by_their_charset():
    replies = {
        "/latin": Reply(200, "Käse".encode("latin-1"), {"Content-Type": "text/plain; charset=iso-8859-1"}),
        "/none": Reply(200, "Käse".encode()),
        "/strange": Reply(200, "Käse".encode(), {"Content-Type": "text/plain; charset=nonsense"}),
        "/gzip": Reply(200, gzip.compress("Käse".encode()), {"Content-Encoding": "gzip"}),
        "/binary": Reply(200, b"K\xff"),
    }
    with WebServer(lambda asked: replies[asked.path]) as server:
        contents = {path: call(server.url + path)["content"] for path in replies}

    assert contents == {"/latin": "Käse", "/none": "Käse", "/strange": "Käse", "/gzip": "Käse", "/binary": "K\ufffd"}


def test_what_cannot_be_reached_fails_and_names_it_without_the_query():
    port = free_port()

    with pytest.raises(HttpCallFailed, match=rf"GET http://127.0.0.1:{port}/x failed: ConnectError") as failed:
        call(f"http://127.0.0.1:{port}/x?code=secret")

    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "ftp://h/x", "gopher://h", "//h/x", "/x", "http://", ""])
def test_other_schemes_are_refused(uri):
    with pytest.raises(ValueError, match="http or https"):
        call(uri)


def test_multipart_and_unknown_token_sources_are_refused():
    with pytest.raises(ValueError, match="multipart"):
        call("http://localhost", content="x", headers={"Content-Type": "Multipart/form-data; boundary=1"})
    with pytest.raises(ValueError, match="Other"):
        call("http://localhost", tokenSource={"kind": "Other", "resource": "r"})


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_redirects_keep_or_change_the_method(status, method, then):
    def answer(asked: Asked) -> Reply:
        return Reply(status, b"", {"Location": "../second?q=1"}) if asked.path == "/a/first" else ok(asked)

    with WebServer(answer) as server:
        result = call(f"{server.url}/a/first", method=method, content="x", headers=SECRETS)

    first, second = server.asked
    assert result["statusCode"] == 200
    assert (second.method, second.path) == (then, "/second?q=1")
    assert second.body == ("" if then == "GET" else first.body)
    assert ("content-type" in second.headers) is (then != "GET")
    assert len(secrets_in(second)) == len(SECRETS)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_stay_with_their_origin(status):
    async def token(resource: str) -> str:
        return f"token-for-{resource}"

    with (
        WebServer(ok) as other,
        WebServer(lambda asked: Reply(status, b"", {"Location": f"{other.url}/there"})) as server,
    ):
        source = {"kind": "AzureManagedIdentity", "resource": "r"}
        call(server.url, HttpCallOptions(token_of=token), headers={**SECRETS, "X-Kept": "1"}, tokenSource=source)
        moved_host = call(f"http://localhost:{server.port}", headers=SECRETS)

    assert server.asked[0].headers["authorization"] == "Bearer token-for-r"
    assert len(secrets_in(server.asked[0])) == len(SECRETS)
    assert [secrets_in(asked) for asked in other.asked] == [set(), set()]
    assert other.asked[0].headers["x-kept"] == "1"
    assert other.asked[0].headers["host"] == f"127.0.0.1:{other.port}"
    assert moved_host["statusCode"] == 200


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://h/x", "javascript:1", "https:///x"])
def test_a_redirect_to_another_scheme_is_the_answer(location):
    with WebServer(lambda asked: Reply(302, b"", {"Location": location})) as server:
        assert call(server.url)["statusCode"] == 302
    assert len(server.asked) == 1


def test_redirects_come_to_an_end():
    with WebServer(lambda asked: Reply(302, b"", {"Location": asked.path + "x"})) as server:
        assert call(server.url + "/")["statusCode"] == 302
    assert len(server.asked) == http_activity.REDIRECTS_MAX + 1


def test_large_answers_and_slow_servers_fail():
    with WebServer(lambda asked: Reply(200, b"x" * 2000)) as server:
        with pytest.raises(HttpCallFailed, match="1,000 bytes"):
            call(server.url, HttpCallOptions(body_bytes_max=1000))
        assert len(call(server.url, HttpCallOptions(body_bytes_max=2000))["content"]) == 2000
    bomb = Reply(200, gzip.compress(b"x" * 50_000), {"Content-Encoding": "gzip"})
    with WebServer(lambda asked: bomb) as server, pytest.raises(HttpCallFailed, match="1,000 bytes"):
        call(server.url, HttpCallOptions(body_bytes_max=1000))


def test_a_server_that_never_answers_fails_the_call():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(HttpCallFailed, match=r"longer than 0.05 s"),
    ):
        call(f"http://127.0.0.1:{silent.getsockname()[1]}/", HttpCallOptions(timeout_seconds=0.05))


def test_only_an_accepted_answer_with_a_place_says_when_to_ask_again():
    options = HttpCallOptions(poll_interval=timedelta(seconds=2))
    with WebServer(lambda asked: Reply(202, b"", {"Location": "/s"} if asked.path == "/with" else {})) as server:
        assert call(server.url + "/with", options)["pollAfterMilliseconds"] == 2000
        assert "pollAfterMilliseconds" not in call(server.url + "/without", options)


def test_the_hosts_that_are_allowed():
    rules = read_rules(AppSettings({"PERDURE_CALL_HTTP_HOSTS": "127.0.0.1, *.example.com"}))
    with WebServer(lambda asked: Reply(302, b"", {"Location": f"http://localhost:{asked.headers['host'][10:]}"})) as s:
        with pytest.raises(HttpCallFailed, match=r"'localhost' is not in PERDURE_CALL_HTTP_HOSTS"):
            call(s.url, HttpCallOptions(addresses=rules))
        with pytest.raises(HttpCallFailed, match=r"'example\.com' is not in"):
            call("https://example.com", HttpCallOptions(addresses=rules))
    assert len(s.asked) == 1


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.9", "169.254.169.254", "::1", "fe80::1%eth0", "::ffff:10.0.0.1", "0.0.0.0"],
)
def test_networks_that_are_not_public_can_be_blocked(address):
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34", address]

    rules = AddressRules(public_only=True, resolve=resolve)
    with pytest.raises(HttpCallFailed, match="not public"):
        call("http://rebinding.example/", HttpCallOptions(addresses=rules))


def test_a_resolver_that_changes_its_mind_leads_nowhere_else(monkeypatch):
    """The address that was checked is the one connected to; the name is not looked up again."""
    answers = iter([["203.0.113.7"]])

    async def resolve(host: str, port: int) -> list[str]:
        return next(answers)

    monkeypatch.setattr("perdure.functions.outgoing_addresses._is_public", lambda address: True)
    with WebServer(ok) as server:

        async def resolve_to_server(host: str, port: int) -> list[str]:
            await resolve(host, port)
            return ["127.0.0.1"]

        rules = AddressRules(public_only=True, resolve=resolve_to_server)
        answer = call(f"http://shop.example:{server.port}/x", HttpCallOptions(addresses=rules))

    assert answer["statusCode"] == 200
    assert server.asked[0].headers["host"] == f"shop.example:{server.port}"


def test_the_private_setting_is_allow_or_block():
    assert read_rules(AppSettings({})) == AddressRules()
    assert read_rules(AppSettings({"PERDURE_CALL_HTTP_PRIVATE": "Block"})).public_only
    with pytest.raises(ValueError, match="PERDURE_CALL_HTTP_PRIVATE"):
        read_rules(AppSettings({"PERDURE_CALL_HTTP_PRIVATE": "maybe"}))


def test_tokens_without_azure_identity_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity", None)

    with pytest.raises(HttpCallFailed, match=r"pip install 'perdure\[azure\]'"):
        call("http://localhost", tokenSource={"kind": "AzureManagedIdentity", "resource": "https://m/"})


def test_tokens_are_asked_for_the_scope_of_their_resource(monkeypatch):
    asked = []

    class DefaultAzureCredential:
        def get_token(self, scope):
            asked.append(scope)
            return types.SimpleNamespace(token="t1")

    identity = types.SimpleNamespace(DefaultAzureCredential=DefaultAzureCredential)
    monkeypatch.setitem(sys.modules, "azure.identity", identity)
    http_activity.credential.cache_clear()
    try:
        with WebServer(ok) as server:
            source = {"kind": "AzureManagedIdentity", "resource": "https://management.core.windows.net/"}
            call(server.url, tokenSource=source, headers={"authorization": "Basic mine"})
    finally:
        http_activity.credential.cache_clear()

    assert asked == ["https://management.core.windows.net/.default"]
    assert server.asked[0].headers["authorization"] == "Bearer t1"


def test_an_app_is_not_told_of_the_activity():
    registry = Registry()
    registry.add_activity(http_activity_definition(HttpCallOptions()))

    with pytest.raises(NotRegistered, match="this app has none"):
        registry.activity("helo")
    assert registry.activity("builtin::httpactivity").name == "BuiltIn::HttpActivity"


def test_importing_the_host_does_not_import_the_http_client():
    program = "import sys, perdure.host.assembly; print('httpx' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=checkout_environment(), capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "False"
