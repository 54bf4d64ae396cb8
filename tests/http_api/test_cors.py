"""CORS: which page may call what; none unless configured, never ``*`` with keys or credentials."""

import httpx
import pytest
from starlette.responses import Response
from starlette.routing import Route, Router

from perdure.host.front_door import front_door
from perdure.http_api.access import OpenAccess
from perdure.http_api.cors import CorsRules, read_origins
from perdure.http_api.links import PREFIX

pytestmark = pytest.mark.anyio
LISTED, FOREIGN = "https://app.example", "https://evil.example"
WISH = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-functions-key, content-type"}


async def answered(rules: CorsRules, method: str, path: str, **headers: str) -> httpx.Response:
    def function(_: object) -> Response:
        return Response("done", headers={"Access-Control-Allow-Origin": "https://own.example"})

    app = front_door([], Router([Route("/{rest:path}", function, methods=["GET", "POST", "OPTIONS"])]), ["*"], rules)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:7071") as http:
        return await http.request(method, path, headers=headers)


def rules(*origins: str, allows_credentials: bool = False) -> CorsRules:
    return read_origins(origins, allows_credentials=allows_credentials, checks_keys=False)


@pytest.mark.parametrize(
    ("given", "origin", "path", "admitted"),
    [
        (LISTED, LISTED, "/api/hello", True), (LISTED, LISTED, f"{PREFIX}/instances", True),
        (LISTED, LISTED, "/admin/host/status", False), (LISTED, FOREIGN, "/api/hello", False),
        (LISTED, FOREIGN, f"{PREFIX}/instances", False), (LISTED, "null", "/api/hello", False),
        (LISTED, "https://app.example.evil.example", "/api/hello", False),
        (LISTED, "http://app.example", "/api/hello", False), (LISTED, f"{LISTED}:8443", "/api/hello", False),
        ("*", FOREIGN, "/api/hello", True), ("*", FOREIGN, f"{PREFIX.upper()}/instances", False),
        ("*", FOREIGN, "/admin/functions", False), (f"*,{LISTED}", LISTED, f"{PREFIX}/instances", True),
    ],
)  # fmt: skip
async def test_who_is_admitted(given: str, origin: str, path: str, admitted: bool):
    preflight = await answered(rules(*given.split(",")), "OPTIONS", path, Origin=origin, **WISH)
    assert (preflight.status_code, preflight.content) == (204, b"")
    allowed = {
        "access-control-allow-origin": origin, "access-control-allow-methods": "PUT",
        "access-control-allow-headers": "x-functions-key, content-type",
    }  # fmt: skip
    found = {name: preflight.headers[name] for name in allowed if name in preflight.headers}
    assert found == (allowed if admitted else {})
    assert preflight.headers["vary"] == "Origin"
    answer = await answered(rules(*given.split(",")), "GET", path, Origin=origin)
    assert answer.text == "done"
    assert answer.headers.get_list("access-control-allow-origin") == ([origin] if admitted else ["https://own.example"])


async def test_credentials_are_allowed_when_said():
    said = await answered(rules(LISTED, allows_credentials=True), "GET", "/api/hello", Origin=LISTED)
    assert said.headers["access-control-allow-credentials"] == "true"
    unsaid = await answered(rules(LISTED), "GET", "/api/hello", Origin=LISTED)
    assert "access-control-allow-credentials" not in unsaid.headers


async def test_without_rules_the_app_decides_itself():
    preflight = await answered(CorsRules(), "OPTIONS", "/api/hello", Origin=LISTED, **WISH)
    assert (preflight.status_code, preflight.text) == (200, "done")
    assert preflight.headers["access-control-allow-origin"] == "https://own.example"


async def test_a_request_of_no_page_is_left_alone():
    assert "vary" not in (await answered(rules(LISTED), "GET", "/api/hello")).headers


@pytest.mark.parametrize(
    ("origins", "credentials", "keys", "says"),
    [
        (["*"], True, False, "credentials"), (["*"], False, True, "keys"), (["app.example"], False, False, "origin"),
        (["https://app.example/path"], False, False, "origin"), (["ftp://x"], False, False, "origin"),
        (["https://u@x"], False, False, "origin"),
    ],
)  # fmt: skip
async def test_what_cannot_be(origins: list[str], credentials: bool, keys: bool, says: str):
    with pytest.raises(ValueError, match=says):
        read_origins(origins, allows_credentials=credentials, checks_keys=keys)


async def test_origins_are_compared_without_case_and_final_slash():
    assert rules("HTTPS://App.Example/ ", "").origins == {LISTED}


def test_star_does_not_open_the_management_api_to_changes():
    scope = {
        "type": "http", "method": "POST", "scheme": "http", "query_string": b"",
        "headers": [(b"origin", FOREIGN.encode()), (b"host", b"localhost:7071")],
    }  # fmt: skip
    from perdure.http_api.access import Level, Verdict

    assert OpenAccess(rules("*").origins).judge(scope, Level.SYSTEM) is Verdict.FORBIDDEN
