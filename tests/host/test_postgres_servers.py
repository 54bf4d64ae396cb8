"""Several servers on one database: each hub is a schema, and what one makes or drops the other notices."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from perdure.storage.opening import hub_server
from perdure.storage.places import ServerPlace
from support.host_process import wait_until
from support.postgres_server import looking_at, shared_server
from support.serve_process import ServeProcess

HUBS = "/admin/perdure/hubs"


@pytest.fixture
def database() -> Iterator[str]:
    """A database of its own: a server runs every hub that it finds."""
    url, name = shared_server(), f"d{uuid4().hex[:12]}"

    async def run(statement: str) -> None:
        async with looking_at(url) as connection:
            await connection.execute(statement)

    asyncio.run(run(f'create database "{name}"'))
    yield f"{url.rpartition('/')[0]}/{name}"
    asyncio.run(run(f'drop database "{name}" with (force)'))


def hubs_of(server: ServeProcess) -> list[str]:
    answer = server.http.get(HUBS)
    assert answer.status_code == 200, answer.text
    return sorted(hub["taskHub"].lower() for hub in answer.json())


def test_hubs_are_shared(database: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with ServeProcess(folders[0], "--store", database) as first, ServeProcess(folders[1], "--store", database) as other:
        assert first.http.post(f"{HUBS}/Orders").status_code == 201
        # Whoever is asked for a hub that another process has made finds it at once.
        listed = other.http.get("/runtime/webhooks/durabletask/instances", params={"taskHub": "orders"})
        assert (listed.status_code, listed.json()) == (200, [])
        assert hubs_of(first) == hubs_of(other) == ["default", "orders"]
        # No other process may be working on what is dropped; who was asked goes on with it.
        refused = first.http.delete(f"{HUBS}/orders")
        assert (refused.status_code, "being worked on by" in refused.json()["Message"]) == (409, True)
        assert hubs_of(first) == ["default", "orders"]
        other.stop()
        assert first.http.delete(f"{HUBS}/orders").status_code == 200
        assert hubs_of(first) == ["default"]
        # A hub of an app is let alone; one that servers have made is run before long.
        there = hub_server(ServerPlace(database))
        assert asyncio.run(there.create("app", 2))
        assert asyncio.run(there.create("late", 2))
        asyncio.run(there.mark_served("late"))
        wait_until(lambda: hubs_of(first) == ["default", "late"], "it is found", limit=20, about=first.log)
        health = first.http.get("/health").json()
        assert json.dumps(health["taskHubs"]) == '["default", "late"]'
