"""`perdure hub copy`, as somebody who outgrows one machine uses it: what runs goes on at the other store."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from support.commands import command, value_of
from support.host_apps import write_app
from support.host_process import HostProcess
from support.postgres_server import looking_at, shared_server

SOURCE = """
import datetime


@app.orchestration_trigger(context_name="context")
def chain(context):
    first = yield context.call_activity("step", 1)
    yield context.create_timer(context.current_utc_datetime + datetime.timedelta(seconds=4))
    answer = yield context.wait_for_external_event("go")
    return [first, (yield context.call_activity("step", 3)), answer]


@app.activity_trigger(input_name="number")
def step(number: int) -> int:
    return number * number


@app.entity_trigger(context_name="context")
def counter(context):
    context.set_state(context.get_state(lambda: 0) + context.get_input())
"""


@pytest.fixture
def hub() -> Iterator[str]:
    name = f"h{uuid4().hex[:12]}"
    yield name

    async def drop() -> None:
        async with looking_at(shared_server()) as connection:
            await connection.execute(f'drop schema if exists "perdure_{name}" cascade')

    asyncio.run(drop())


def test_running_instances_go_on_at_the_other_store(tmp_path: Path, hub: str) -> None:
    settings = {"version": "2.0", "extensions": {"durableTask": {"hubName": hub}}}
    app = write_app(tmp_path / "app", SOURCE, host_json=json.dumps(settings))
    file, server = f"sqlite:{app / '.perdure' / 'hub.db'}", shared_server()
    with HostProcess(app) as host:
        links = [host.start_instance(f"/api/start/chain/c{number}") for number in range(5)]
        host.http.post("/runtime/webhooks/durabletask/entities/counter/a", params={"op": "add"}, json=2)
        assert command("keys", "set", "partner", "k3y", folder=app).code == 0
        held = command("hub", "copy", file, server, folder=app)
        assert (held.code, "is in use by process" in held.err) == (3, True)
        for link in links:
            host.wait_for(link, lambda status: status["runtimeStatus"] == "Running", "it runs")
        host.kill()
    copied = value_of("hub", "copy", file, server, "--json", folder=app)
    for side in ("source", "target"):
        assert copied[side]["instances"] == 6
    assert copied["source"]["episodes"] == copied["target"]["episodes"] >= 5
    assert copied["findings"] == []
    assert copied["target"]["store"] == server
    assert command("hub", "copy", file, server, folder=app).code == 3
    keys = value_of("keys", "list", "--store", server, "--json", folder=app)
    assert [(row["name"], row["value"]) for row in keys] == [("partner", "k3y")]
    with HostProcess(app, "--store", server) as host:
        for number in range(5):
            path = f"/runtime/webhooks/durabletask/instances/c{number}/raiseEvent/go"
            assert host.http.post(path, json="yes").status_code == 202
        for link in links:
            address = f"{host.url}/runtime/webhooks/durabletask/instances/{link['id']}"
            assert host.completed({"statusQueryGetUri": address})["output"] == [1, 9, "yes"]
        entity = host.http.get("/runtime/webhooks/durabletask/entities/counter/a")
        assert entity.json() == 2
    # And back again, into a file.
    back = f"sqlite:{tmp_path / 'back.db'}"
    shown = command("hub", "copy", server, back, folder=app)
    assert (shown.code, "The copy is sound." in shown.out) == (0, True), shown
    listed = value_of("durable", "get-instances", "--store", back, "--json", folder=app)
    assert {row["OrchestrationStatus"] for row in listed["instances"]} == {"Completed"}


def test_what_makes_no_sense_is_refused(tmp_path: Path, hub: str) -> None:
    server = shared_server()
    for source, target, code, text in (
        (server, server, 2, "the same hub"),
        ("memory:", "sqlite:x.db", 3, "lives in its process"),
        ("sqlite:none.db", "sqlite:x.db", 3, "There is no store"),
        ("mysql://a:s3cret@h", "sqlite:x.db", 3, "names no store"),
    ):
        refused = command("hub", "copy", source, target, folder=tmp_path)
        assert (refused.code, text in refused.err, "s3cret" in refused.err) == (code, True, False), refused
    missing = command("hub", "copy", server, "sqlite:x.db", "--source-hub", hub, folder=tmp_path)
    assert (missing.code, "There is no hub" in missing.err) == (3, True), missing
    assert not (tmp_path / "x.db").exists()
