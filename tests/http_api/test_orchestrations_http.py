"""Orchestrations over HTTP, row by row of the specification (http-api.md §6.1 to 6.10)."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from perdure.client import InstanceExists
from perdure.core import events as ev
from perdure.core.messages import RaiseEvent, Resume, StartExecution, Suspend, Terminate
from perdure.core.status import NON_TERMINAL, TERMINAL, RuntimeStatus
from perdure.http_api.options import ManagementOptions
from support.management_api import BASE, Api, serving
from support.steered_hub import START

pytestmark = pytest.mark.anyio
QUERY = "taskHub=ShopHub&connection=AzureWebJobsStorage&code=Kx1"
JSON = {"content-type": "application/json"}
ENDED = sorted(TERMINAL)
LIVE = sorted(NON_TERMINAL - {RuntimeStatus.Pending})


async def started(api: Api, instance_id: str = "order-1001", body: str | None = None) -> str:
    answer = await api.post(f"/orchestrators/ship_order/{instance_id}", content=body)
    assert answer.status_code == 202, answer.text
    return instance_id


def empty(answer: httpx.Response, status: int) -> None:
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (status, b"", "0")


def long_error(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
    assert answer.json()["StackTrace"] is None
    return answer.json()["ExceptionMessage"]


def short_error(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["Message"]
    return answer.json()["Message"]


# Start


async def test_start_answers_with_the_management_payload(api: Api):
    answer = await api.post("/orchestrators/ship_order/order-1001?code=Kx1", json={"sku": "TEA-42", "qty": 3})
    instance = f"{BASE}/instances/order-1001"
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["location"] == f"{instance}?{QUERY}"
    assert answer.headers["retry-after"] == "10"
    assert answer.json()["id"] == "order-1001"
    assert answer.json()["sendEventPostUri"] == f"{instance}/raiseEvent/{{eventName}}?{QUERY}"
    record = await api.client.get("order-1001")
    assert record is not None
    assert record.origin.input == '{"sku":"TEA-42","qty":3}'
    assert record.origin.version == "1.0"
    assert record.progress.status is RuntimeStatus.Pending
    [message] = await api.inbox("order-1001")
    assert isinstance(message, StartExecution)
    assert (message.name, message.input, message.version) == ("ship_order", '{"sku":"TEA-42","qty":3}', "1.0")
    assert message.execution_id == record.origin.execution_id


async def test_start_without_an_id_gets_32_hex_digits(api: Api):
    first = (await api.post("/orchestrators/ship_order")).json()["id"]
    second = (await api.post("/orchestrators/ship_order/")).json()["id"]
    assert first != second
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"", None),
        (b" \r\n", None),
        (b"null", "null"),
        (b'"{\\"sku\\": 7}"', '"{\\"sku\\": 7}"'),
        (b'{"n":12345678901234567890123,"n":1.10}', '{"n":12345678901234567890123,"n":1.10}'),
    ],
)
async def test_the_body_is_kept_as_it_came(api: Api, body: bytes, kept: str | None):
    await api.post("/orchestrators/ship_order/a", content=body, headers={"content-type": "text/plain"})
    record = await api.client.get("a")
    assert record is not None
    assert record.origin.input == kept


async def test_orchestrator_names_have_no_case_and_a_version_can_be_given(api: Api):
    await api.post("/Orchestrators/SHIP_order/a?version=2.0")
    record = await api.client.get("a")
    assert record is not None
    assert record.origin.version == "2.0"


async def test_an_unknown_orchestrator_is_told_the_known_ones(api: Api):
    answer = await api.post("/orchestrators/ship_ordr")
    assert long_error(answer, 400) == (
        "No orchestrator named 'ship_ordr' is registered. Known orchestrators: 'ship_order', 'bill_order'."
    )
    assert answer.json()["Message"] == "The request has an invalid argument."


@pytest.mark.parametrize(
    ("instance_id", "words"),
    [
        ("x" * 257, "256"),
        ("a%2Fb", "'/'"),
        ("a%5Cb", "allowed"),
        ("a%23b", "'#'"),
        ("a%3Fb", "'?'"),
        ("a%0Ab", "control"),
        ("a%00b", "control"),
        ("%40counter%40k", "'@'"),
        ("%ff", "UTF-8"),
    ],
)
async def test_bad_instance_ids_name_the_rule(api: Api, instance_id: str, words: str):
    assert words in long_error(await api.post(f"/orchestrators/ship_order/{instance_id}"), 400)


@pytest.mark.parametrize("instance_id", ["x" * 256, "a b", "it's;--%22", "%25", "%E2%80%AEbidi", "a:0001", ".."])
async def test_unusual_ids_work_and_come_back_in_links(api: Api, instance_id: str):
    path = instance_id.replace("..", "%2E%2E").replace(" ", "%20")
    answer = await api.post(f"/orchestrators/ship_order/{path}")
    assert answer.status_code == 202
    link = answer.json()["statusQueryGetUri"]
    followed = await api.http.get(link.replace("..", "%2E%2E"))
    assert followed.status_code == 202
    assert followed.json()["instanceId"] == answer.json()["id"]


@pytest.mark.parametrize("body", [b"{", b"nope", b"NaN", b'"\xff"', b"[" * 10_000, b"7" * 100_000])
async def test_bad_json_is_400_with_the_offset(body: bytes):
    async with serving(payload_bytes_max=1_000_000) as api:
        answer = await api.post("/orchestrators/ship_order/a", content=body)
        assert "at byte " in long_error(answer, 400)
        assert await api.client.get("a") is None


@pytest.mark.parametrize("status", [RuntimeStatus.Pending, *LIVE])
async def test_a_live_id_is_409_and_left_alone(api: Api, status: RuntimeStatus):
    await started(api, "a", "1")
    if status is not RuntimeStatus.Pending:
        await api.settle("a", status)
    assert "'a'" in long_error(await api.post("/orchestrators/ship_order/a", content="2"), 409)
    record = await api.client.get("a")
    assert record is not None
    assert (record.origin.input, record.progress.status) == ("1", status)


@pytest.mark.parametrize("status", ENDED)
async def test_a_finished_id_is_replaced(api: Api, status: RuntimeStatus):
    await started(api, "a", "1")
    await api.settle("a", status, output="9")
    await started(api, "a", "2")
    record = await api.client.get("a")
    assert record is not None
    assert (record.origin.input, record.progress.status, record.progress.output) == ("2", RuntimeStatus.Pending, None)
    assert await api.client.history("a") == []


async def test_many_starts_of_one_id_give_one_instance(api: Api):
    answers = await asyncio.gather(*(api.post("/orchestrators/ship_order/a") for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 49


# Payload limits


@pytest.mark.parametrize(("size", "status"), [(999, 202), (1000, 202), (1001, 413)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_at_the_limit(api: Api, size: int, status: int, chunked: bool):
    body = b'"' + b"x" * (size - 2) + b'"'

    async def chunks():
        yield body[:500]
        yield body[500:]

    answer = await api.post("/orchestrators/ship_order/a", content=chunks() if chunked else body)
    assert answer.status_code == status
    if status == 413:
        assert "1,000" in long_error(answer, 413)
        assert answer.headers["connection"] == "close"
        assert await api.client.get("a") is None


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 415), ("deflate, br", 415), ("identity", 202), ("", 202)])
async def test_compressed_bodies_are_refused(api: Api, encoding: str, status: int):
    answer = await api.post("/orchestrators/ship_order", content=b"1", headers={"content-encoding": encoding})
    assert answer.status_code == status


# Start and wait


async def test_waiting_for_completion_gives_the_output(api: Api):
    waiting = asyncio.create_task(api.post("/orchestrators/ship_order/a?timeout=10&pollingInterval=0.5"))
    await api.storage.wait_for_status("a", NON_TERMINAL)
    await api.settle("a", RuntimeStatus.Completed, output='{"currency":"EUR","amount":12.50}')
    answer = await waiting
    assert (answer.status_code, answer.content) == (200, b'{"currency":"EUR","amount":12.50}')


@pytest.mark.parametrize(
    ("flag", "status", "code"),
    [
        ("", RuntimeStatus.Failed, 200),
        ("&returnInternalServerErrorOnFailure=true", RuntimeStatus.Failed, 500),
        ("&returnInternalServerErrorOnFailure=true", RuntimeStatus.Terminated, 200),
        ("", RuntimeStatus.Canceled, 200),
    ],
)
async def test_waiting_for_another_end_gives_the_status(api: Api, flag: str, status: RuntimeStatus, code: int):
    waiting = asyncio.create_task(
        api.post(f"/orchestrators/ship_order/a?timeout=10&showInput=false{flag}", content="1")
    )
    await api.storage.wait_for_status("a", NON_TERMINAL)
    await api.settle("a", status, output="why")
    answer = await waiting
    assert answer.status_code == code
    assert (answer.json()["runtimeStatus"], answer.json()["output"]) == (status.name, "why")
    assert answer.json()["input"] is None


@pytest.mark.parametrize(
    "query", ["timeout=0", "timeout=0.01&pollingInterval=0.01", "timeout=soon", "pollingInterval=9"]
)
async def test_what_has_not_ended_in_time_gets_the_links(api: Api, query: str):
    answer = await api.post(f"/orchestrators/ship_order/a?{query}")
    assert answer.status_code == 202
    assert answer.json()["id"] == "a"


async def test_an_interval_over_the_timeout_starts_nothing(api: Api):
    assert "pollingInterval" in long_error(
        await api.post("/orchestrators/ship_order/a?timeout=1&pollingInterval=2"), 400
    )
    assert await api.client.get("a") is None


# Status


async def test_the_status_of_a_running_instance(api: Api):
    await started(api, body='{"sku":"TEA-42","qty":3}')
    api.clock.advance(3)
    await api.settle("order-1001", RuntimeStatus.Running, custom_status='{"step":"packing"}')
    answer = await api.get("/instances/order-1001?code=Kx1")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{BASE}/instances/order-1001?code=Kx1"
    assert answer.headers["retry-after"] == "5"
    assert answer.content == (
        b'{"name":"ship_order","instanceId":"order-1001","runtimeStatus":"Running","input":{"sku":"TEA-42","qty":3},'
        b'"customStatus":{"step":"packing"},"output":null,'
        b'"createdTime":"2026-02-03T04:05:06Z","lastUpdatedTime":"2026-02-03T04:05:09Z"}'
    )


@pytest.mark.parametrize("status", list(RuntimeStatus))
@pytest.mark.parametrize("flag", [False, True])
async def test_the_code_of_each_status(api: Api, status: RuntimeStatus, flag: bool):
    await started(api, "a")
    await api.settle("a", status)
    answer = await api.get(f"/instances/a?returnInternalServerErrorOnFailure={flag}")
    expected = 202 if not status.is_terminal else 500 if flag and status is RuntimeStatus.Failed else 200
    assert answer.status_code == expected
    assert answer.json()["runtimeStatus"] == status.name
    assert ("location" in answer.headers, "retry-after" in answer.headers) == ((expected == 202,) * 2)


async def test_an_unknown_instance_is_404(api: Api):
    empty(await api.get("/instances/nobody"), 404)


@pytest.mark.parametrize(("query", "shown"), [("", 1), ("?showInput=False", None), ("?showInput=maybe", 1)])
async def test_the_input_can_be_hidden(api: Api, query: str, shown: int | None):
    await started(api, "a", "1")
    assert (await api.get(f"/instances/a{query}")).json()["input"] == shown


async def test_history_on_request(api: Api):
    await started(api, "a", "1")
    assert "historyEvents" not in (await api.get("/instances/a?showHistory=true")).json()
    await api.settle("a", RuntimeStatus.Running, ev.TaskScheduled(0, "pack", "2"))
    await api.settle(
        "a",
        RuntimeStatus.Completed,
        ev.TaskCompleted(0, 2, "[1.10]"),
        ev.ExecutionCompleted(RuntimeStatus.Completed, "3"),
        output="3",
    )
    assert "historyEvents" not in (await api.get("/instances/a")).json()
    answer = await api.get("/instances/a?showHistory=True&showHistoryOutput=True")
    assert b'"Result":[1.10]' in answer.content
    assert [row["EventType"] for row in answer.json()["historyEvents"]] == [
        "ExecutionStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    bare = (await api.get("/instances/a?showHistory=true&showInput=false")).json()["historyEvents"]
    assert not any({"Input", "Result"} & row.keys() for row in bare)


async def test_what_an_instance_waits_for_on_request(api: Api):
    await started(api, "a")
    await api.settle("a", RuntimeStatus.Running, ev.TaskScheduled(0, "pack"), awaited_events=("approval",))
    body = (await api.get("/instances/a?showWaitingOn=true")).json()
    assert body["waitingOn"] == [
        {"kind": "activity", "name": "pack", "since": "2026-02-03T04:05:06.250000Z", "attempt": 1},
        {"kind": "event", "name": "approval", "since": "2026-02-03T04:05:06.250000Z"},
    ]
    await api.settle("a", RuntimeStatus.Completed)
    assert "waitingOn" not in (await api.get("/instances/a?showWaitingOn=true")).json()


# List


async def listed(api: Api, query: str, **headers: str) -> list[str]:
    answer = await api.get(f"/instances?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return [row["instanceId"] for row in answer.json()]


async def test_pages_cover_everything_once_in_order_of_creation(api: Api):
    ids = [f"i{n}" for n in (5, 3, 1, 4, 2)]
    for instance_id in ids:
        await started(api, instance_id)
        api.clock.advance(1)
    token, seen, pages = "", [], 0
    while True:
        answer = await api.get("/instances?top=2", headers={"x-ms-continuation-token": token})
        seen += [row["instanceId"] for row in answer.json()]
        token = answer.headers["x-ms-continuation-token"]
        pages += 1
        if not token:
            break
    assert seen == ids
    assert pages == 3
    assert list(answer.json()[0])[-1] == "lastUpdatedTime"


async def test_filters(api: Api):
    for n, status in enumerate([RuntimeStatus.Running, RuntimeStatus.Completed, RuntimeStatus.Failed]):
        await started(api, f"order-{n}", str(n))
        await api.settle(f"order-{n}", status)
        api.clock.advance(60)
    await started(api, "other")
    await api.put_entity("@counter@order-9", "1")
    assert await listed(api, "") == ["order-0", "order-1", "order-2", "other"]
    assert await listed(api, "runtimeStatus=completed,FAILED") == ["order-1", "order-2"]
    assert await listed(api, "runtimeStatus=Pending&runtimeStatus=0,Nonsense") == ["order-0", "other"]
    assert await listed(api, "instanceIdPrefix=order-") == ["order-0", "order-1", "order-2"]
    assert await listed(api, "instanceIdPrefix=@counter") == ["@counter@order-9"]
    second, third = (START + timedelta(minutes=n) for n in (1, 2))
    assert await listed(api, f"createdTimeFrom={second:%Y-%m-%dT%H:%M:%S.%f}Z") == ["order-1", "order-2", "other"]
    assert await listed(api, f"createdTimeFrom={second.isoformat()}&createdTimeTo={third.isoformat()}") == [
        "order-1",
        "order-2",
    ]
    body = (await api.get("/instances/?showInput=False&showHistory=True")).json()
    assert [row["input"] for row in body] == [None] * 4
    assert not any("historyEvents" in row for row in body)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("createdTimeFrom=soon", "createdTimeFrom"),
        ("createdTimeTo=2026-99-01", "createdTimeTo"),
        ("top=0", "top"),
        ("top=1001", "top"),
        ("top=x", "top"),
        ("runtimeStatus=Nonsense", "runtimeStatus"),
    ],
)
async def test_bad_filters_are_400_and_named(api: Api, query: str, parameter: str):
    assert f"'{parameter}'" in short_error(await api.get(f"/instances?{query}"), 400)


async def test_a_forged_token_is_400(api: Api):
    answer = await api.get("/instances", headers={"x-ms-continuation-token": "b3JkZXItMTAwMg"})
    assert "x-ms-continuation-token" in short_error(answer, 400)


async def test_an_empty_hub_has_one_empty_page(api: Api):
    answer = await api.get("/instances")
    assert (answer.content, answer.headers["x-ms-continuation-token"]) == (b"[]", "")


# Events and control


@pytest.mark.parametrize("payload", ["null", '{"ok":true,"by":"lena"}', '"\\ud800"', "12345678901234567890.10"])
async def test_an_event_with_any_json_value(api: Api, payload: str):
    await started(api, "a")
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    empty(await api.post("/instances/a/raiseevent/App%20roval", content=payload, headers=headers), 202)
    assert (await api.inbox("a"))[-1] == RaiseEvent("App roval", payload)


async def test_suspended_instances_take_events(api: Api):
    await started(api, "a")
    await api.settle("a", RuntimeStatus.Suspended)
    empty(await api.post("/instances/a/raiseEvent/go", content="1", headers=JSON), 202)


async def test_events_are_refused_in_the_order_of_the_checks(api: Api):
    text = {"content-type": "text/plain"}
    empty(await api.post("/instances/a/raiseEvent/go", content="{", headers=text), 404)
    await started(api, "a")
    assert "application/json" in short_error(
        await api.post("/instances/a/raiseEvent/go", content="{", headers=text), 400
    )
    assert "application/json" in short_error(await api.post("/instances/a/raiseEvent/go", content="{"), 400)
    assert "at byte" in long_error(await api.post("/instances/a/raiseEvent/go", content="{", headers=JSON), 400)
    assert "at byte" in long_error(await api.post("/instances/a/raiseEvent/go", headers=JSON), 400)
    before = len(await api.inbox("a"))
    await api.settle("a", RuntimeStatus.Completed)
    empty(await api.post("/instances/a/raiseEvent/go", content="{", headers=text), 410)
    assert before == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("terminate?reason=duplicate%20order", Terminate("duplicate order")),
        ("terminate?reason=a+b&recursive=true", Terminate("a b", True)),
        ("Terminate", Terminate()),
        ("suspend?reason=stock%20count", Suspend("stock count")),
        ("suspend?reason=", Suspend()),
        ("resume?REASON=Sch%C3%B6n", Resume("Sch\u00f6n")),
    ],
)
async def test_control(api: Api, path: str, message: object):
    await started(api, "a")
    empty(await api.post(f"/instances/a/{path}", content=b"ignored {"), 202)
    assert (await api.inbox("a"))[-1] == message


@pytest.mark.parametrize("action", ["terminate", "suspend", "resume"])
async def test_control_of_unknown_and_finished_instances(api: Api, action: str):
    empty(await api.post(f"/instances/a/{action}?reason=x"), 404)
    await api.put_entity("@counter@k", "1")
    empty(await api.post(f"/instances/%40counter%40k/{action}"), 404)
    await started(api, "a")
    for status in ENDED:
        await api.settle("a", status)
        empty(await api.post(f"/instances/a/{action}"), 410)


@pytest.mark.parametrize(
    ("status", "action"), [(RuntimeStatus.Suspended, "suspend"), (RuntimeStatus.Running, "resume")]
)
async def test_control_that_changes_nothing_is_accepted(api: Api, status: RuntimeStatus, action: str):
    await started(api, "a")
    await api.settle("a", status)
    empty(await api.post(f"/instances/a/{action}"), 202)


async def test_an_escaped_nul_in_a_reason_is_refused(api: Api):
    await started(api, "a")
    assert "NUL" in long_error(await api.post("/instances/a/terminate?reason=a%00b"), 400)


# Purge


@pytest.mark.parametrize("status", ENDED)
async def test_purge_one(api: Api, status: RuntimeStatus):
    await started(api, "a")
    await api.settle("a", status)
    answer = await api.delete("/instances/a")
    assert (answer.status_code, answer.content) == (200, b'{"instancesDeleted":1}')
    empty(await api.delete("/instances/a"), 404)
    empty(await api.get("/instances/a"), 404)


@pytest.mark.parametrize("status", [RuntimeStatus.Pending, *LIVE])
async def test_purge_leaves_live_instances(api: Api, status: RuntimeStatus):
    await started(api, "a")
    if status is not RuntimeStatus.Pending:
        await api.settle("a", status)
    assert status.name in short_error(await api.delete("/instances/a"), 409)
    assert await api.client.get("a") is not None


async def test_a_forced_purge_ends_the_instance_first(api: Api):
    await started(api, "a")
    await api.hold()
    purging = asyncio.create_task(api.delete("/instances/a?force=true"))
    assert isinstance(await api.take_message("a", RuntimeStatus.Terminated), Terminate)
    assert (await purging).json() == {"instancesDeleted": 1}
    assert await api.client.get("a") is None


async def test_entities_are_not_purged(api: Api):
    await api.put_entity("@counter@k", "1")
    empty(await api.delete("/instances/%40counter%40k"), 404)


async def test_purge_many(api: Api):
    for n, status in enumerate([*ENDED, RuntimeStatus.Running]):
        await started(api, f"i{n}")
        await api.settle(f"i{n}", status)
        api.clock.advance(1)
    since = "createdTimeFrom=2026-01-01T00:00:00Z"
    answer = await api.delete(f"/instances?{since}&runtimeStatus=Completed,Running")
    assert answer.content == b'{"instancesDeleted":1}'
    empty(await api.delete(f"/instances?{since}&createdTimeTo=2026-01-02"), 404)
    bound = (START + timedelta(seconds=2)).isoformat().replace("+00:00", "Z")
    assert (await api.delete(f"/instances/?createdTimeFrom={bound}&createdTimeTo={bound}")).json() == {
        "instancesDeleted": 1
    }
    assert (await api.delete(f"/instances?{since}")).json() == {"instancesDeleted": 2}
    empty(await api.delete(f"/instances?{since}"), 404)
    assert await listed(api, "") == ["i4"]


async def test_purge_many_needs_its_lower_bound(api: Api):
    answer = await api.delete("/instances?runtimeStatus=Completed")
    assert answer.status_code == 400
    assert isinstance(answer.json(), str)
    assert "createdTimeFrom" in answer.json()


@pytest.mark.parametrize("statuses", ["Running", "Nonsense", "Pending,Suspended"])
async def test_purge_many_never_loses_its_filter(api: Api, statuses: str):
    await started(api, "a")
    await api.settle("a", RuntimeStatus.Completed)
    answer = await api.delete(f"/instances?createdTimeFrom=2026-01-01&runtimeStatus={statuses}")
    assert "runtimeStatus" in short_error(answer, 400)
    assert await api.client.get("a") is not None


# Hub, connection, origin, anything else


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("taskHub=shophub&connection=azurewebjobsstorage", 202),
        ("taskHub=&connection=&connectionName=", 202),
        ("connectionName=AzureWebJobsStorage", 202),
        ("taskHub=OtherHub", 400),
        ("connection=Other", 400),
        ("connectionName=Other", 400),
    ],
)
async def test_task_hub_and_connection(api: Api, query: str, status: int):
    await started(api, "a")
    answer = await api.get(f"/instances/a?{query}")
    assert answer.status_code == status
    if status == 400:
        assert "Other" in long_error(answer, 400)


FORWARDED = {"forwarded": 'for=1.2.3.4;proto=https;host="shop.example", for=x;host=evil', "x-forwarded-host": "second"}


@pytest.mark.parametrize(
    ("trusted", "headers", "origin"),
    [
        (False, FORWARDED, "http://localhost:7071"),
        (True, FORWARDED, "https://shop.example"),
        (True, {"x-forwarded-host": "shop.example, evil", "x-forwarded-proto": "https"}, "https://shop.example"),
        (True, {"x-forwarded-proto": "https"}, "https://localhost:7071"),
        (True, {}, "http://localhost:7071"),
    ],
)
async def test_links_begin_with_the_origin_of_the_request(trusted: bool, headers: dict[str, str], origin: str):
    async with serving(ManagementOptions("H", use_forwarded_host=trusted)) as api:
        answer = await api.post("/orchestrators/ship_order/a", headers=headers)
        assert answer.headers["location"].startswith(f"{origin}/runtime/webhooks/durabletask/instances/a?taskHub=H")
        polled = await api.get("/instances/a?x=%20y", headers=headers)
        assert polled.headers["location"] == f"{origin}/runtime/webhooks/durabletask/instances/a?x=%20y"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/instances/a"),
        ("HEAD", "/instances/a"),
        ("OPTIONS", "/instances"),
        ("GET", "/orchestrators/ship_order"),
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/instances/a/history"),
        ("POST", "/instances/a/raiseEvent"),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd"),
        ("GET", "/instances/a/%2e%2e/%2e%2e"),
    ],
)
async def test_everything_else_is_404(api: Api, method: str, path: str):
    await started(api, "a")
    empty(await api.http.request(method, BASE + path), 404)


async def test_the_prefix_has_no_case_and_ends_at_a_slash(api: Api):
    await started(api, "a")
    host = "http://localhost:7071"
    assert (await api.http.get(f"{host}/Runtime/WebHooks/DurableTask/Instances/a")).status_code == 202
    assert (await api.http.get(f"{host}/runtime/webhooks/durabletaskx/instances/a")).status_code == 404


async def test_a_start_is_accepted_only_when_it_is_durable(api: Api):
    await api.storage.close()
    answer = await api.post("/orchestrators/ship_order/a")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


async def test_client_and_api_agree_on_a_live_id(api: Api):
    await started(api, "a")
    with pytest.raises(InstanceExists, match="'a'"):
        await api.client.start("ship_order", instance_id="a")
