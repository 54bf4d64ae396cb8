"""Entities over HTTP (http-api.md §6.11 to 6.13)."""

import pytest

from perdure.core.messages import OperationRequest
from support.management_api import Api

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json; charset=utf-8"}
TEXT = {"content-type": "text/plain"}


@pytest.mark.parametrize(
    ("body", "headers", "input"),
    [
        (b"5", JSON, "5"),
        (b'{"a":1.10}', JSON, '{"a":1.10}'),
        (b"", JSON, None),
        (b"", TEXT, None),
        (b"", {}, None),
        (b"5", TEXT, '"5"'),
        (b"5", {}, '"5"'),
        ('say "Schön"'.encode(), TEXT, '"say \\"Sch\\u00f6n\\""'),
    ],
)
async def test_a_signal_with_its_input(api: Api, body: bytes, headers: dict[str, str], input: str | None):
    answer = await api.post("/entities/Counter/Tea?op=add&code=Kx1", content=body, headers=headers)
    assert (answer.status_code, answer.content) == (202, b"")
    assert await api.inbox("@counter@Tea") == [OperationRequest("add", input)]


@pytest.mark.parametrize(
    ("method", "path", "target", "operation"),
    [
        ("POST", "/entities/counter", "@counter@", ""),
        ("POST", "/entities/counter/k", "@counter@k", ""),
        ("POST", "/ENTITIES/COUNTER/K%40%20x?OP=Reset", "@counter@K@ x", "Reset"),
        ("DELETE", "/entities/counter/k?op=add", "@counter@k", "delete"),
        ("DELETE", "/entities/counter", "@counter@", "delete"),
    ],
)
async def test_targets_and_operations(api: Api, method: str, path: str, target: str, operation: str):
    call = api.post if method == "POST" else api.delete
    assert (await call(path)).status_code == 202
    assert await api.inbox(target) == [OperationRequest(operation)]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/entities/Countr/k", b"", "Known entities: 'Counter'"),
        ("/entities/counter/a%2Fb", b"", "'/'"),
        ("/entities/counter/a%23", b"", "'#'"),
        ("/entities/counter/a%01", b"", "control"),
        ("/entities/co%40unter/k", b"", "'@'"),
        ("/entities/counter/k", b"{", "at byte"),
    ],
)
async def test_signals_that_are_refused(api: Api, path: str, body: bytes, words: str):
    answer = await api.post(path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert list(answer.json()) == ["Message"]
    assert words in answer.json()["Message"]


async def test_text_that_is_not_utf8_is_refused(api: Api):
    answer = await api.post("/entities/counter/k", content=b"a\xff", headers=TEXT)
    assert answer.status_code == 400
    assert "byte 1" in answer.json()["Message"]


async def test_too_large_an_input_is_413(api: Api):
    answer = await api.post("/entities/counter/k", content=b"x" * 1001, headers=TEXT)
    assert answer.status_code == 413
    assert "1,001" in answer.json()["ExceptionMessage"]
    # As JSON text it is two quotes longer than it came.
    assert (await api.post("/entities/counter/k", content=b"x" * 999, headers=TEXT)).status_code == 413


@pytest.mark.parametrize(
    ("target", "path", "body"),
    [
        ("@counter@tea", "/entities/Counter/tea", b'{"total":5.0}'),
        ("@counter@", "/entities/counter/$", b'{"total":5.0}'),
        ("@counter@", "/entities/counter/%24", b'{"total":5.0}'),
    ],
)
async def test_reading_a_state(api: Api, target: str, path: str, body: bytes):
    await api.put_entity(target, '{"total":5.0}')
    answer = await api.get(path)
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_absent_and_deleted_entities_are_404(api: Api):
    assert (await api.get("/entities/counter/k")).status_code == 404
    await api.put_entity("@counter@k", "1")
    await api.put_entity("@counter@k", None)
    answer = await api.get("/entities/counter/k")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("name", ["%0f", "%00", "a%5Cb%23", "%40clean", "%C2%A0*", "a%2Fb"])
async def test_a_name_that_no_entity_can_have_has_none(api: Api, name: str):
    await api.put_entity("@counter@tea", "5")
    answer = await api.get(f"/entities/{name}")
    assert (answer.status_code, answer.content) == (200, b"[]")


async def test_listing(api: Api):
    await api.put_entity("@counter@tea", '{"total":5}')
    api.clock.advance(60)
    await api.put_entity("@counter@coffee", "7")
    await api.put_entity("@other@k", "1")
    await api.put_entity("@counter@gone", None)
    await api.client.start("ship_order")

    async def keys(path: str) -> list[str]:
        return [row["entityId"]["key"] for row in (await api.get(path)).json()]

    assert await keys("/entities") == ["tea", "coffee", "k"]
    assert await keys("/entities/COUNTER") == ["tea", "coffee"]
    assert await keys("/entities?lastOperationTimeFrom=2026-02-03T04:05:30Z") == ["coffee", "k"]
    assert await keys("/entities?lastOperationTimeTo=2026-02-03T04:05:30Z") == ["tea"]
    page = await api.get("/entities?top=2&fetchState=true")
    assert page.content == (
        b'[{"entityId":{"name":"counter","key":"tea"},"lastOperationTime":"2026-02-03T04:05:06.2500000Z",'
        b'"state":{"total":5}},'
        b'{"entityId":{"name":"counter","key":"coffee"},"lastOperationTime":"2026-02-03T04:06:06.2500000Z","state":7}]'
    )
    token = page.headers["x-ms-continuation-token"]
    rest = await api.get("/entities?top=2", headers={"x-ms-continuation-token": token})
    assert [(row["entityId"]["key"], row["state"]) for row in rest.json()] == [("k", None)]
    assert rest.headers["x-ms-continuation-token"] == ""


@pytest.mark.parametrize(
    ("query", "parameter"), [("lastOperationTimeFrom=x", "lastOperationTimeFrom"), ("top=0", "top")]
)
async def test_bad_filters_are_400_and_named(api: Api, query: str, parameter: str):
    answer = await api.get(f"/entities?{query}")
    assert answer.status_code == 400
    assert f"'{parameter}'" in answer.json()["Message"]


async def test_an_entity_can_be_looked_at_as_an_instance(api: Api):
    await api.put_entity("@counter@tea", "5")
    answer = await api.get("/instances/%40counter%40tea?showHistory=true&showWaitingOn=true")
    assert answer.status_code == 202
    assert answer.json()["instanceId"] == "@counter@tea"
    assert answer.json()["waitingOn"] == []
