import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from perdure.functions.app_settings import AppSettings
from perdure.functions.host_json import read_host_file, read_host_json
from perdure.functions.host_settings import HostSettings, task_hub_name
from perdure.functions.setting_tree import HostJsonError


def _read(content: Any, **environment: str) -> HostSettings:
    text = content if isinstance(content, str) else json.dumps(content)
    return read_host_json(text.encode(), environment)


def _durable(**settings: Any) -> dict[str, Any]:
    return {"version": "2.0", "extensions": {"durableTask": settings}}


@pytest.mark.parametrize("content", [None, b"", b"{}", b"  \n", b'\xef\xbb\xbf{"version": "2.0"}'])
def test_defaults(content: bytes | None) -> None:
    assert read_host_json(content, {}) == HostSettings()


def test_a_missing_file_gives_defaults(tmp_path: Path) -> None:
    assert read_host_file(tmp_path, {}) == HostSettings()
    (tmp_path / "host.json").write_text('{"version": "2.0", "functionTimeout": "00:01:00"}')
    assert read_host_file(tmp_path, {}).function_timeout == timedelta(minutes=1)


def test_the_usual_template_gives_no_warning() -> None:
    settings = _read(
        {
            "version": "2.0",
            "logging": {
                "applicationInsights": {"samplingSettings": {"isEnabled": True, "excludedTypes": "Request"}},
                "logLevel": {"DurableTask.Core": "Warning", "default": "information"},
            },
            "extensions": {"durableTask": {"hubName": "ShopHub", "storageProvider": {"type": "sqlite"}}},
            "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
        }
    )
    assert settings.warnings == ()
    assert settings.logging.levels == {"DurableTask.Core": "Warning", "default": "Information"}
    assert settings.durable.hub_name == "ShopHub"
    assert settings.durable.storage.type == "sqlite"


def test_all_parts_are_read() -> None:
    settings = _read(
        {
            "VERSION": "2.0",
            "functions": ["a", "b"],
            "functionTimeout": -1,
            "watchDirectories": ["shared"],
            "extensions": {
                "HTTP": {
                    "ROUTEPREFIX": "",
                    "maxOutstandingRequests": 5,
                    "maxConcurrentRequests": -1,
                    "customHeaders": {"X-A": "b"},
                    "hsts": {"isEnabled": True, "maxAge": "10.00:00:00"},
                    "dynamicThrottlesEnabled": True,
                },
                "durableTask": {
                    "defaultVersion": "1.0",
                    "versionMatchStrategy": "strict",
                    "versionFailureStrategy": "Fail",
                    "maxConcurrentActivityFunctions": 7,
                    "maxConcurrentOrchestratorFunctions": "8",
                    "maxEntityOperationBatchSize": 1,
                    "overridableExistingInstanceStates": "AnyState",
                    "entityMessageReorderWindowInMinutes": 5,
                    "rollbackEntityOperationsOnExceptions": False,
                    "httpSettings": {"useForwardedHost": True},
                    "tracing": {"distributedTracingEnabled": True, "version": "V2"},
                    "storageProvider": {"connectionStringName": "OLD", "partitionCount": 16},
                    "notifications": {"eventGrid": {"publishEventTypes": ["Started", "failed"]}},
                },
            },
        }
    )
    http, durable = settings.http, settings.durable
    assert settings.functions == ("a", "b")
    assert settings.function_timeout is None
    assert settings.watch_directories == ("shared",)
    assert (http.route_prefix, http.max_outstanding_requests, http.max_concurrent_requests) == ("", 5, None)
    assert http.custom_headers == {"X-A": "b"}
    assert http.hsts_max_age == timedelta(days=10)
    assert (durable.default_version, durable.version_match_strategy) == ("1.0", "Strict")
    assert durable.version_failure_strategy == "Fail"
    assert (durable.max_concurrent_activities, durable.max_concurrent_orchestrators) == (7, 8)
    assert durable.max_concurrent_entities is None
    assert durable.max_entity_batch == 1
    assert durable.replaceable_instances == "AnyState"
    assert durable.entity_reorder_window == timedelta(minutes=5)
    assert not durable.rolls_back_entity_operations
    assert durable.uses_forwarded_host
    assert durable.tracing.is_enabled
    assert durable.tracing.version == "V2"
    assert durable.storage.connection_name == "OLD"
    assert durable.notifications.event_types == ("Started", "Failed")
    assert settings.warnings == (
        "host.json: without effect here: extensions.durableTask.storageProvider.partitionCount.",
        "host.json: without effect here: extensions.durableTask.maxConcurrentOrchestratorFunctions, "
        "extensions.durableTask.entityMessageReorderWindowInMinutes.",
    )


def test_keys_that_ask_for_what_happens_anyway_are_no_warning() -> None:
    keys = {"rollbackEntityOperationsOnExceptions": True, "throwStatusExceptionsOnRaiseEvent": True}
    assert _read(_durable(**keys)).warnings == ()
    settings = _read(_durable(notifications={"eventGrid": {"topicEndpoint": "https://example.com"}}))
    assert settings.warnings == ()
    assert settings.durable.notifications.topic_endpoint == "https://example.com"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  "version": "2.0",\n}', "host.json, line 3, column 1: "),
        ('{\n  // note\n  "version": "2.0"}', "host.json, line 2, column 3: comments are not allowed"),
        ("[1]", "must be a JSON object"),
        ('{"a": 1}', '"version": "2.0" is missing'),
        ('{"version": "1.0"}', 'line 1, column 13: version must be "2.0"'),
        (
            '{"version": "2.0",\n "extensions": {\n  "http": {"routePrefix": 5}}}',
            "line 3, column 27: extensions.http.routePrefix must be a text, not 5",
        ),
        ('{"version": "2.0", "extensions": 7}', "extensions must be an object, not 7"),
        ('{"version": "2.0", "functionTimeout": "soon"}', "functionTimeout 'soon' is not a time span"),
        ('{"version": "2.0", "functionTimeout": "00:00:00"}', "functionTimeout must be at least one second"),
        ('{"version": "2.0", "functions": "a"}', "functions must be a list of texts"),
        ('{"version": "2.0", "functions": ["a", 1]}', "functions must be a text, not 1"),
        ('{"version": "2.0", "logging": {"logLevel": {"Host": "Loud"}}}', "for 'Host' must be one of Trace"),
        ("[" * 100_000, "."),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(HostJsonError) as refused:
        _read(text)
    assert message in str(refused.value)


def test_bad_utf8_is_refused() -> None:
    with pytest.raises(HostJsonError, match="line 2: not UTF-8"):
        read_host_json(b'{\n"a\xff": 1}', {})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("maxConcurrentActivityFunctions", 0, "must be from 1 to"),
        ("maxConcurrentActivityFunctions", -5, "must be from 1 to"),
        ("maxConcurrentActivityFunctions", 10**30, "must be from 1 to"),
        ("maxConcurrentActivityFunctions", 1.5, "must be a whole number, not 1.5"),
        ("maxConcurrentActivityFunctions", True, "must be a whole number, not true"),
        ("maxConcurrentActivityFunctions", "many", 'must be a whole number, not "many"'),
        ("versionMatchStrategy", "Loose", "must be one of None, Strict, CurrentOrOlder"),
        ("rollbackEntityOperationsOnExceptions", 1, "must be true or false, not 1"),
        ("hubName", ["a"], 'must be a text, not ["a"]'),
        ("tracing", "on", "must be an object"),
    ],
)
def test_wrong_values_name_the_key_path(key: str, value: Any, message: str) -> None:
    with pytest.raises(HostJsonError) as refused:
        _read(_durable(**{key: value}))
    assert f"extensions.durableTask.{key} " in str(refused.value)
    assert message in str(refused.value)


def test_unknown_event_types_are_refused() -> None:
    with pytest.raises(HostJsonError, match="publishEventTypes must be one of"):
        _read(_durable(notifications={"eventGrid": {"publishEventTypes": ["Begun"]}}))


def test_unknown_keys_are_warnings_with_the_nearest_known_one() -> None:
    settings = _read(
        '{"version": "2.0",\n "extensions": {"durableTask": {"hubNam": "x"}, "http": {"zzz": 1}},\n "logs": {}}'
    )
    assert set(settings.warnings) == {
        "host.json, line 2, column 43: unknown key 'extensions.durableTask.hubNam'; did you mean 'hubName'?",
        "host.json, line 2, column 65: unknown key 'extensions.http.zzz'",
        "host.json, line 3, column 10: unknown key 'logs'",
    }


def test_a_root_section_is_pointed_out() -> None:
    assert any("move it into 'extensions'" in w for w in _read({"version": "2.0", "durableTask": {}}).warnings)


def test_extended_sessions_have_no_effect() -> None:
    assert any("extendedSessionsEnabled" in w for w in _read(_durable(extendedSessionsEnabled=True)).warnings)


def test_the_environment_overrides_the_file() -> None:
    settings = _read(
        _durable(hubName="FromFile", maxConcurrentActivityFunctions=3) | {"functions": ["a", "b"]},
        AzureFunctionsJobHost__extensions__durableTask__hubName="FromEnv",
        AzureFunctionsJobHost__Extensions__Http__RoutePrefix="v1",
        AZUREFUNCTIONSJOBHOST__functions__1="c",
        AzureFunctionsJobHost__logging__logLevel__Host="Error",
        Unrelated__functions="x",
    )
    assert settings.durable.hub_name == "FromEnv"
    assert settings.durable.max_concurrent_activities == 3
    assert settings.http.route_prefix == "v1"
    assert settings.functions == ("a", "c")
    assert settings.logging.levels == {"Host": "Error"}


def test_a_bad_override_names_the_variable() -> None:
    with pytest.raises(
        HostJsonError, match="environment variable AzureFunctionsJobHost__functionTimeout: functionTimeout"
    ):
        _read({"version": "2.0"}, AzureFunctionsJobHost__functionTimeout="soon")


def test_an_override_may_fill_a_list_that_the_file_has_not() -> None:
    assert _read("{}", AzureFunctionsJobHost__functions__0="a", AzureFunctionsJobHost__functions__1="b").functions == (
        "a",
        "b",
    )


@pytest.mark.parametrize(
    ("configured", "environment", "expected"),
    [
        (None, {}, "TestHubName"),
        ("ShopHub", {"WEBSITE_SITE_NAME": "other"}, "ShopHub"),
        ("%HUB%", {"HUB": "Mine"}, "Mine"),
        ("Shop%PART%", {"PART": "Two"}, "ShopTwo"),
        (None, {"WEBSITE_SITE_NAME": "my-shop.app"}, "myshopapp"),
        (None, {"WEBSITE_SITE_NAME": "7up"}, "t7up"),
        (None, {"WEBSITE_SITE_NAME": "ab"}, "abHub"),
        (None, {"WEBSITE_SITE_NAME": "--"}, "DefaultTaskHub"),
        (None, {"WEBSITE_SITE_NAME": "x" * 60}, "x" * 45),
        (None, {"WEBSITE_SLOT_NAME": "Production"}, "TestHubName"),
    ],
)
def test_task_hub_names(configured: str | None, environment: dict[str, str], expected: str) -> None:
    assert task_hub_name(configured, AppSettings(environment)) == expected


@pytest.mark.parametrize(
    ("configured", "environment", "message"),
    [
        ("1hub", {}, "a letter first"),
        ("my-hub", {}, "letters and digits"),
        ("", {}, "letters and digits"),
        ("ab", {}, "has 2 characters"),
        ("x" * 46, {}, "has 46 characters"),
        ("%NOPE%", {}, "names no app setting"),
        (None, {"WEBSITE_SLOT_NAME": "staging"}, "slot 'staging'"),
    ],
)
def test_bad_task_hub_names(configured: str | None, environment: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task_hub_name(configured, AppSettings(environment))


def test_retry_policy_of_the_whole_app() -> None:
    read = read_host_json(
        b'{"version": "2.0", "retry": {"strategy": "fixedDelay", "maxRetryCount": 2, "delayInterval": "00:00:03"}}', {}
    )
    assert read.retry is not None
    assert (read.retry.retries_max, read.retry.first.total_seconds()) == (2, 3)
    with pytest.raises(HostJsonError, match=r"line 1, column 29: retry needs delayInterval"):
        read_host_json(b'{"version": "2.0", "retry": {"strategy": "fixedDelay", "maxRetryCount": 2}}', {})
