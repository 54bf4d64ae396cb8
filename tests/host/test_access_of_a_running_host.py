"""Every route of a running host with no, wrong, lower and right key (reliability.md S2), and the doors around it."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from perdure.http_api.access import LEVELS, Level
from perdure.http_api.links import PREFIX
from support.host_apps import write_app
from support.host_process import HostProcess, checkout_environment

SOURCE = """
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp()

@app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS)
def open_to_all(req):
    return "open"

@app.route(route="keyed")
def keyed(req):
    return "keyed"

@app.route(route="other")
def other(req):
    return "other"

@app.route(route="masters", auth_level=func.AuthLevel.ADMIN)
def masters(req):
    return "masters"

@app.route(route="off", auth_level=func.AuthLevel.ANONYMOUS)
def turned_off(req):
    return "off"

@app.route(route="links", auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def links(req, client):
    return client.create_check_status_response(req, "one")

@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")
"""
NOBODYS = "nobody's"
CHANGES_THE_HOST = {"/admin/host/restart", "/admin/host/drain"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    app = write_app(tmp_path_factory.mktemp("guarded"), SOURCE, head="")
    environment = {**checkout_environment(), "AzureWebJobs.turned_off.Disabled": "true"}
    with HostProcess(app, "--enableAuth", environment=environment) as running:
        yield running
        keys = keys_of(running)
        assert not [name for name, key in keys.items() if key in running.log()]


def keys_of(host: HostProcess) -> dict[str, str]:
    """One key of each kind, as the files have them."""
    folder = host.app / ".perdure" / "hub.db.keys"
    kept = json.loads((folder / "host.json").read_text())
    return {
        "master": kept["masterKey"]["value"],
        "system": kept["systemKeys"][0]["value"],
        "host": kept["functionKeys"][0]["value"],
        "function": json.loads((folder / "keyed.json").read_text())["keys"][0]["value"],
    }


ALLOWED = "allowed"
EXPECTED = {
    Level.ANONYMOUS: dict.fromkeys(["none", "wrong", "function", "host", "system", "master"], ALLOWED),
    Level.SYSTEM: {
        "none": 401, "wrong": 401, "function": 403, "host": 403, "system": ALLOWED, "master": ALLOWED,
    },
    Level.ADMIN: {"none": 401, "wrong": 401, "function": 403, "host": 403, "system": 403, "master": ALLOWED},
}  # fmt: skip


@pytest.mark.parametrize(("method", "template"), sorted(LEVELS))
def test_a_route_opens_to_the_keys_of_its_level(host: HostProcess, method: str, template: str):
    expected = EXPECTED[LEVELS[method, template]]
    path = template if template.startswith("/") else f"{PREFIX}/{template}"
    for name in ("{name}", "{id}", "{key}", "{event}", "{kind}"):
        path = path.replace(name, "nothing-of-this-name")
    for kind, key in {"none": None, "wrong": NOBODYS, **keys_of(host)}.items():
        if expected[kind] == ALLOWED and template in CHANGES_THE_HOST:
            continue
        for query, headers in ({"code": key}, {}), ({}, {"x-functions-key": key or ""}):
            answer = host.http.request(method, path, params=query if key else {}, headers=headers)
            if expected[kind] == ALLOWED:
                assert answer.status_code not in (401, 403), (kind, answer)
            else:
                assert (answer.status_code, answer.content) == (expected[kind], b""), kind


@pytest.mark.parametrize(
    ("path", "opened_by"),
    [
        ("open", {"none", "wrong", "master", "system", "host", "function"}),
        ("keyed", {"master", "host", "function"}),
        ("other", {"master", "host"}),
        ("masters", {"master"}),
    ],
)
def test_a_function_opens_to_the_keys_of_its_level(host: HostProcess, path: str, opened_by: set[str]):
    for kind, key in {"none": None, "wrong": NOBODYS, **keys_of(host)}.items():
        answer = host.http.get(f"/api/{path}", params={"code": key} if key else {})
        assert (answer.status_code, answer.text) == ((200, path) if kind in opened_by else (401, "")), kind
        assert (host.http.get(f"/api/{path}", headers={"x-functions-key": key or ""}).status_code == 200) is (
            kind in opened_by
        )


@pytest.mark.parametrize("key", ["none", "host", "system", "master"])
def test_a_disabled_function_opens_to_the_master_key_only(host: HostProcess, key: str):
    answer = host.http.get("/api/off", headers={"x-functions-key": keys_of(host).get(key, "")})
    assert (answer.status_code, answer.text) == ((200, "off") if key == "master" else (404, ""))


def test_the_header_wins(host: HostProcess):
    good, bad = keys_of(host)["master"], NOBODYS
    assert host.http.get("/api/keyed", params={"code": good}, headers={"x-functions-key": bad}).status_code == 401
    assert host.http.get("/api/keyed", params={"code": bad}, headers={"x-functions-key": good}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        f"{PREFIX.upper()}/INSTANCES", f"{PREFIX}/%69nstances", f"{PREFIX}//instances", f"/{PREFIX}/instances",
        f"{PREFIX}/./instances", f"{PREFIX}/x/../instances", "/runtime/webhooks/durabletask%2Finstances",
        f"/api/..{PREFIX}/instances", "/%72untime/webhooks/durabletask/instances",
    ],
)  # fmt: skip
def test_no_spelling_of_a_path_goes_round_the_keys(host: HostProcess, path: str):
    answer = host.http.send(httpx.Request("GET", httpx.URL(host.url).copy_with(raw_path=path.encode())))
    assert answer.status_code in (401, 404)
    assert answer.content == b""


def test_links_carry_the_system_key_and_it_opens_them(host: HostProcess):
    links = host.http.get("/api/links").json()
    assert keys_of(host)["system"] in links["statusQueryGetUri"]
    assert host.http.get(links["statusQueryGetUri"]).status_code == 404
    master = {"x-functions-key": keys_of(host)["master"]}
    begun = host.http.post(f"{PREFIX}/orchestrators/waits", headers=master).json()
    assert keys_of(host)["master"] not in json.dumps(begun)
    assert host.http.get(begun["statusQueryGetUri"]).status_code == 202


def test_on_every_address_keys_are_on_unless_told_otherwise(tmp_path: Path):
    app = write_app(tmp_path / "app", SOURCE, head="")
    with HostProcess(app, "--host", "0.0.0.0") as host:
        assert host.http.get("/api/keyed").status_code == 401
        assert host.http.get(f"{PREFIX}/instances").status_code == 401
        assert host.http.get("/api/open").status_code == 200
        system = keys_of(host)["system"]
    with HostProcess(app, "--host", "0.0.0.0", "--no-auth") as host:
        assert host.http.get("/api/masters").status_code == 200
        assert host.http.get(f"{PREFIX}/instances").status_code == 200
        # Links work on when keys are checked again.
        assert system in host.http.get("/api/links").text


def test_on_loopback_no_keys_are_made(tmp_path: Path):
    app = write_app(tmp_path / "app", SOURCE, head="")
    with HostProcess(app) as host:
        assert host.http.get("/api/masters").status_code == 200
        assert "code=" not in host.http.get("/api/links").text
        foreign = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        assert host.http.post(f"{PREFIX}/orchestrators/waits", headers=foreign).status_code == 403
    assert not (app / ".perdure" / "hub.db.keys").exists()
