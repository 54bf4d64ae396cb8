"""Rewind, restart, purge of families, cleaning of entities, makeprimary (http-api.md §6.8 to 6.10, §6.14)."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from perdure.core import events as ev
from perdure.core.instance import Origin
from perdure.core.messages import RemoveWhenEmpty, Rewind, StartExecution
from perdure.core.status import NON_TERMINAL, TERMINAL, RuntimeStatus
from support.management_api import BASE, Api

pytestmark = pytest.mark.anyio
ENDED_OTHERWISE = sorted(TERMINAL - {RuntimeStatus.Failed})
LIVE = sorted(NON_TERMINAL)


async def instance(api: Api, status: RuntimeStatus, instance_id: str = "order-0999") -> Origin:
    await api.client.start("ship_order", instance_id=instance_id, input='{"n":1}', version="0.9", tags={"k": "v"})
    record = await api.client.get(instance_id)
    if status is not RuntimeStatus.Pending:
        record = await api.settle(instance_id, status)
    assert record is not None
    return record.origin


def empty(answer: httpx.Response, status: int) -> None:
    assert (answer.status_code, answer.content) == (status, b"")


def long_error(answer: httpx.Response, status: int) -> tuple[str, str]:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
    return answer.json()["Message"], answer.json()["ExceptionMessage"]


# Rewind


@pytest.mark.parametrize(("query", "reason"), [("?reason=mail%20fixed&code=x", "mail fixed"), ("", None)])
async def test_rewind_of_a_failed_one_is_accepted(api: Api, query: str, reason: str | None):
    await instance(api, RuntimeStatus.Failed)
    empty(await api.post(f"/instances/order-0999/Rewind{query}"), 202)
    assert [m for m in await api.inbox("order-0999") if isinstance(m, Rewind)] == [Rewind(reason)]


@pytest.mark.parametrize("status", ENDED_OTHERWISE)
async def test_rewind_of_what_ended_otherwise_is_410(api: Api, status: RuntimeStatus):
    await instance(api, status)
    empty(await api.post("/instances/order-0999/rewind"), 410)


@pytest.mark.parametrize("status", LIVE)
async def test_rewind_of_a_live_one_is_409(api: Api, status: RuntimeStatus):
    await instance(api, status)
    message, text = long_error(await api.post("/instances/order-0999/rewind"), 409)
    assert message == "Only a failed instance can be rewound."
    assert text == f"The instance 'order-0999' is {status.name}; only failed instances can be rewound."


async def test_rewind_of_nothing_is_404(api: Api):
    empty(await api.post("/instances/nobody/rewind"), 404)
    await api.put_entity("@counter@k", "1")
    empty(await api.post("/instances/@counter@k/rewind"), 404)


# Restart


@pytest.mark.parametrize("query", ["", "?restartWithNewInstanceId=true", "?restartWithNewInstanceId=perhaps"])
@pytest.mark.parametrize("status", [RuntimeStatus.Completed, RuntimeStatus.Failed, RuntimeStatus.Running])
async def test_restart_starts_the_same_under_a_new_id(api: Api, query: str, status: RuntimeStatus):
    former = await instance(api, status)
    answer = await api.post(f"/instances/order-0999/restart{query}")
    assert answer.status_code == 202
    new_id = answer.json()["id"]
    assert new_id != "order-0999"
    assert answer.headers["location"] == answer.json()["statusQueryGetUri"]
    record = await api.client.get(new_id)
    assert record is not None
    origin = record.origin
    assert (origin.name, origin.input, origin.tags, origin.parent) == (former.name, former.input, former.tags, None)
    assert origin.version == "1.0", "the default of now, not the one it had"
    assert origin.execution_id != former.execution_id
    before = await api.client.get("order-0999")
    assert before is not None
    assert before.progress.status is status


@pytest.mark.parametrize("status", sorted(TERMINAL))
async def test_restart_under_its_own_id_replaces_what_ended(api: Api, status: RuntimeStatus):
    former = await instance(api, status)
    answer = await api.post("/instances/order-0999/restart?restartWithNewInstanceId=false")
    assert (answer.status_code, answer.json()["id"]) == (202, "order-0999")
    record = await api.client.get("order-0999")
    assert record is not None
    assert record.progress.status is RuntimeStatus.Pending
    assert record.progress.output is None
    assert record.origin.execution_id != former.execution_id
    assert [m.input for m in await api.inbox("order-0999") if isinstance(m, StartExecution)][-1:] == ['{"n":1}']


@pytest.mark.parametrize("status", LIVE)
async def test_restart_under_the_own_id_of_a_live_one_is_409(api: Api, status: RuntimeStatus):
    former = await instance(api, status)
    _, text = long_error(await api.post("/instances/order-0999/restart?restartWithNewInstanceId=False"), 409)
    assert "'order-0999'" in text
    record = await api.client.get("order-0999")
    assert record is not None
    assert record.origin.execution_id == former.execution_id


async def test_restart_of_nothing_is_400(api: Api):
    message, text = long_error(await api.post("/instances/nobody/restart"), 400)
    assert message == "There is no instance with this id."
    assert "'nobody'" in text


async def test_restart_waits_like_a_start(api: Api):
    await instance(api, RuntimeStatus.Completed)
    path = "/instances/order-0999/restart?restartWithNewInstanceId=false"
    waiting = asyncio.create_task(api.post(f"{path}&timeout=30"))
    await api.storage.wait_for_status("order-0999", frozenset({RuntimeStatus.Pending}))
    await api.settle("order-0999", RuntimeStatus.Completed, output='"done"')
    answer = await waiting
    assert (answer.status_code, answer.json()) == (200, "done")
    assert (await api.post(f"{path}&timeout=0.01")).status_code == 202
    long_error(await api.post(f"{path}&timeout=1&pollingInterval=2"), 400)


# Purge


async def family(api: Api) -> None:
    """A parent with a child that has a child; one of its children runs, one id belongs to somebody else."""
    link = ev.ParentLink("parent", "0", 2, 0)
    children = [ev.SubOrchestrationCreated(n, "bill_order", c) for n, c in enumerate(["c1", "live", "foreign", "gone"])]
    await api.client.start("ship_order", instance_id="parent")
    await api.settle("parent", RuntimeStatus.Completed, *children)
    for name, status, parent in [
        ("c1", RuntimeStatus.Failed, link),
        ("live", RuntimeStatus.Running, link),
        ("foreign", RuntimeStatus.Completed, None),
        ("g1", RuntimeStatus.Completed, ev.ParentLink("c1", "0", 2, 0)),
    ]:
        await api.put_child(name, parent)
        more = [ev.SubOrchestrationCreated(0, "bill_order", "g1")] if name == "c1" else []
        await api.settle(name, status, *more)


@pytest.mark.parametrize(
    "path", ["/instances/parent?", "/instances?createdTimeFrom=2020-01-01&runtimeStatus=Completed&"]
)
async def test_a_recursive_purge_takes_what_has_ended_of_the_family(api: Api, path: str):
    await family(api)
    answer = await api.delete(f"{path}recursive=true")
    one = path.startswith("/instances/parent")
    assert answer.json() == {"instancesDeleted": 3 if one else 4}
    left = {name for name in ("parent", "c1", "live", "foreign", "g1") if await api.client.get(name) is not None}
    assert left == ({"live", "foreign"} if one else {"live"})


async def test_a_purge_leaves_the_children_unless_told(api: Api):
    await family(api)
    assert (await api.delete("/instances/parent")).json() == {"instancesDeleted": 1}
    assert await api.client.get("c1") is not None


# Entities


@pytest.mark.parametrize(
    ("query", "removed"), [("", 1), ("?removeEmptyEntities=false", 0), ("?releaseOrphanedLocks=false", 1)]
)
async def test_cleaning_counts_what_it_asked_to_go(api: Api, query: str, removed: int):
    await api.put_entity("@counter@full", "1")
    await api.put_entity("@counter@empty", None)
    answer = await api.post(f"/entities/@Clean{query}")
    assert answer.status_code == 200
    assert answer.json() == {"emptyEntitiesRemoved": removed, "orphanedLocksReleased": 0}
    assert [type(m) for m in await api.inbox("@counter@empty")] == [RemoveWhenEmpty] * removed


async def test_pages_of_entities_are_complete(api: Api):
    for number in range(7):
        await api.put_entity(f"@counter@{number}", str(number))
        api.clock.at += timedelta(seconds=1)
    await api.put_entity("@other@x", "1")
    for path, count in [("/entities", 8), ("/entities/COUNTER", 7)]:
        keys: list[str] = []
        token = ""
        while True:
            page = await api.get(f"{path}?top=3", headers={"x-ms-continuation-token": token})
            keys += [row["entityId"]["key"] for row in page.json()]
            token = page.headers["x-ms-continuation-token"]
            if not token:
                break
        assert len(keys) == len(set(keys)) == count


# Makeprimary


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_makeprimary_is_200_and_empty(api: Api, method: str):
    empty(await api.http.request(method, f"{BASE}/makePrimary"), 200)
