"""One set of programs, played by the official Python SDK and by ours, on our server and on the official test server."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.host_process import free_port
from support.official_environments import PROGRAMS, Interpreter
from support.official_play import Program, scenarios_of
from support.official_scenarios import EXPECTED, NOT_ON_THEIR_BACKEND, ON_THEIR_BACKEND, WITH_OUR_SDK
from support.serve_process import ServeProcess

SHARED = scenarios_of(PROGRAMS, ("@scenario",))
FIRST = "started_before_any_worker"
"""Played in a hub to which no worker was ever connected."""
ALONE = [name for name in scenarios_of(PROGRAMS, ("@alone",)) if name != FIRST]
Seen = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def seen_by_official(server: ServeProcess, official: Interpreter) -> Seen:
    return play_all(official, server, "official")


@pytest.fixture(scope="module")
def seen_by_ours(server: ServeProcess, our_own: Interpreter) -> Seen:
    return play_all(our_own, server, "ours")


def play_all(interpreter: Interpreter, server: ServeProcess, hubs: str) -> Seen:
    """Several programs at once, on hubs of their own: they wait more than they compute."""
    seen: Seen = {}
    address = f"localhost:{server.grpc_port}"
    with ThreadPoolExecutor(4) as players:
        parts = (SHARED, ALONE[::2], ALONE[1::2], [FIRST])
        plays = [players.submit(play, interpreter, address, f"{hubs}-{n}", part) for n, part in enumerate(parts)]
        for one in plays:
            seen |= one.result()
    return seen


def play(interpreter: Interpreter, address: str, hub: str, names: list[str]) -> Seen:
    with Program(interpreter, "play.py", address, hub, *names) as program:
        return {line["scenario"]: line for line in program.rest()}


def test_every_scenario_is_expected() -> None:
    assert sorted([*SHARED, *ALONE, FIRST]) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_official_sdk_on_our_server(seen_by_official: Seen, name: str) -> None:
    line = seen_by_official[name]
    assert line.get("seen") == EXPECTED[name], line.get("error", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_our_sdk_on_our_server(seen_by_ours: Seen, name: str) -> None:
    line = seen_by_ours[name]
    assert line.get("seen") == WITH_OUR_SDK.get(name, EXPECTED[name]), line.get("error", "")


def test_each_plays_with_its_own_package(official: Interpreter, our_own: Interpreter) -> None:
    assert official.package() != our_own.package()


@pytest.fixture(scope="module")
def on_their_backend(official: Interpreter, our_own: Interpreter) -> dict[str, Seen]:
    chosen = [name for name in SHARED + ALONE if name not in NOT_ON_THEIR_BACKEND]
    seen: dict[str, Seen] = {}
    # One after the other, each on a server of its own: it knows no task hubs.
    for sdk, interpreter in (("official", official), ("ours", our_own)):
        port = free_port()
        with Program(official, "memory_backend.py", str(port)) as backend:
            assert backend.line() == "ready"
            seen[sdk] = play(interpreter, f"localhost:{port}", "default", chosen)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("sdk", ["official", "ours"])
@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in NOT_ON_THEIR_BACKEND])
def test_on_the_official_test_server(on_their_backend: dict[str, Seen], name: str, sdk: str) -> None:
    line = on_their_backend[sdk][name]
    assert line.get("seen") == ON_THEIR_BACKEND.get(name, EXPECTED[name]), line.get("error", "")
