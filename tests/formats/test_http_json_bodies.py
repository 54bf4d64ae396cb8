"""Status objects, entity rows and links, key by key."""

from datetime import UTC, datetime

import msgspec
import pytest

from perdure.core.failures import FailureDetails
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.status import RuntimeStatus
from perdure.core.waiting_on import WaitingOn, WaitKind
from perdure.formats.http_json import (
    LinkTerms,
    client_binding,
    creation_links,
    encode,
    entity_row,
    long_error_body,
    management_links,
    status_body,
)

CREATED = datetime(2026, 2, 3, 4, 5, 6, 999_999, tzinfo=UTC)
UPDATED = datetime(2026, 2, 3, 4, 5, 9, 123_456, tzinfo=UTC)


def record(
    status: RuntimeStatus = RuntimeStatus.Running, input: str | None = None, **progress: object
) -> InstanceRecord:
    origin = Origin("order-1001", InstanceKind.ORCHESTRATION, "ship_order", "x", CREATED, input=input)
    return InstanceRecord(origin, Progress(status, UPDATED, **progress))  # type: ignore[arg-type]


def test_the_status_object_byte_for_byte():
    running = record(input='{"sku":"TEA-42","qty":3}', custom_status='{"step":"packing"}')
    assert encode(status_body(running)) == (
        b'{"name":"ship_order","instanceId":"order-1001","runtimeStatus":"Running","input":{"sku":"TEA-42","qty":3},'
        b'"customStatus":{"step":"packing"},"output":null,'
        b'"createdTime":"2026-02-03T04:05:06Z","lastUpdatedTime":"2026-02-03T04:05:09Z"}'
    )


def test_a_hidden_input_is_null():
    assert status_body(record(input="1"), show_input=False)["input"] is None


@pytest.mark.parametrize(
    ("instance", "output"),
    [
        (record(RuntimeStatus.Completed, output="[1,2]"), b"[1,2]"),
        (record(RuntimeStatus.Completed), b"null"),
        (record(RuntimeStatus.Terminated, output="duplicate order"), b'"duplicate order"'),
        (
            record(RuntimeStatus.Failed, output="Orchestrator function 'X' failed: no"),
            b"\"Orchestrator function 'X' failed: no\"",
        ),
        (record(RuntimeStatus.Failed, failure=FailureDetails("E", "broken")), b'"broken"'),
    ],
)
def test_output_by_status(instance: InstanceRecord, output: bytes):
    assert encode(status_body(instance)["output"]) == output


def test_an_entity_shows_no_output():
    origin = Origin("@counter@k", InstanceKind.ENTITY, "counter", "x", CREATED)
    body = status_body(InstanceRecord(origin, Progress(RuntimeStatus.Running, UPDATED, state="5")))
    assert (body["name"], body["instanceId"], body["output"]) == ("counter", "@counter@k", None)


def test_history_and_reasons_come_last_and_only_when_given():
    reasons = [
        WaitingOn(WaitKind.ACTIVITY, "pack", since=UPDATED, attempt=2),
        WaitingOn(WaitKind.TIMER, since=CREATED, until=UPDATED),
        WaitingOn(WaitKind.SUSPENDED, since=UPDATED, reason="stock count"),
    ]
    body = status_body(record(), history=[], waiting=reasons)
    assert list(body)[-2:] == ["historyEvents", "waitingOn"]
    assert body["waitingOn"] == [
        {"kind": "activity", "name": "pack", "since": "2026-02-03T04:05:09.123456Z", "attempt": 2},
        {"kind": "timer", "since": "2026-02-03T04:05:06.999999Z", "until": "2026-02-03T04:05:09.123456Z"},
        {"kind": "suspended", "since": "2026-02-03T04:05:09.123456Z", "reason": "stock count"},
    ]
    assert not {"historyEvents", "waitingOn"} & status_body(record()).keys()


@pytest.mark.parametrize(("fetch", "state"), [(True, {"total": 5}), (False, None)])
def test_entity_rows(fetch: bool, state: object):
    origin = Origin("@counter@tea@4", InstanceKind.ENTITY, "counter", "x", CREATED)
    row = entity_row(InstanceRecord(origin, Progress(RuntimeStatus.Running, UPDATED, state='{"total":5}')), fetch)
    assert msgspec.json.decode(encode(row)) == {
        "entityId": {"name": "counter", "key": "tea@4"},
        "lastOperationTime": "2026-02-03T04:05:09.1234560Z",
        "state": state,
    }


def test_error_objects():
    assert encode(long_error_body("Bad.", "No such thing.", "ValueError")) == (
        b'{"Message":"Bad.","ExceptionMessage":"No such thing.","ExceptionType":"ValueError","StackTrace":null}'
    )


BASE = "http://localhost:7071/runtime/webhooks/durabletask"
QUERY = "taskHub=ShopHub&connection=AzureWebJobsStorage&code=Kx1"


def test_management_links():
    terms = LinkTerms(BASE, "ShopHub", "AzureWebJobsStorage", "Kx1")
    assert management_links(terms, "a1") == {
        "id": "a1",
        "statusQueryGetUri": f"{BASE}/instances/a1?{QUERY}",
        "sendEventPostUri": f"{BASE}/instances/a1/raiseEvent/{{eventName}}?{QUERY}",
        "terminatePostUri": f"{BASE}/instances/a1/terminate?reason={{text}}&{QUERY}",
        "rewindPostUri": f"{BASE}/instances/a1/rewind?reason={{text}}&{QUERY}",
        "purgeHistoryDeleteUri": f"{BASE}/instances/a1?{QUERY}",
        "restartPostUri": f"{BASE}/instances/a1/restart?{QUERY}",
        "suspendPostUri": f"{BASE}/instances/a1/suspend?reason={{text}}&{QUERY}",
        "resumePostUri": f"{BASE}/instances/a1/resume?reason={{text}}&{QUERY}",
    }
    asked = management_links(terms, "a1", failure_as_500=True)
    assert asked["statusQueryGetUri"].endswith("&returnInternalServerErrorOnFailure=true")
    assert asked["purgeHistoryDeleteUri"].endswith("code=Kx1")


def test_ids_in_links_are_percent_encoded_and_stay_raw_beside_them():
    links = management_links(LinkTerms(BASE, "hub&co", "C"), "a b/\u00e4:1?~")
    assert links["id"] == "a b/\u00e4:1?~"
    assert links["purgeHistoryDeleteUri"] == f"{BASE}/instances/a%20b%2F%C3%A4%3A1%3F~?taskHub=hub%26co&connection=C"


def test_creation_links_with_and_without_a_key():
    wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
    start = f"{BASE}/orchestrators/{{functionName}}[/{{instanceId}}]"
    assert creation_links(LinkTerms(BASE, "h", "c", "K+")) == {
        "createNewInstancePostUri": f"{start}?code=K%2B",
        "createAndWaitOnNewInstancePostUri": f"{start}?{wait}&code=K%2B",
    }
    assert creation_links(LinkTerms(BASE, "h", "c")) == {
        "createNewInstancePostUri": start,
        "createAndWaitOnNewInstancePostUri": f"{start}?{wait}",
    }


def test_the_binding_carries_templates_and_the_token():
    binding = client_binding(LinkTerms(BASE, "h", "c"), "token1")
    assert binding["perdureClient"] == "token1"
    assert binding["managementUrls"]["id"] == "INSTANCEID"
    assert "/instances/INSTANCEID?" in binding["managementUrls"]["statusQueryGetUri"]
    assert binding["requiredQueryStringParameters"] == ""
    assert binding["baseUrl"] == BASE
