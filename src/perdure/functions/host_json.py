"""host.json → HostSettings (functions-host.md §2, §3)."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from perdure.functions.durations import parse_timespan
from perdure.functions.host_settings import (
    DurableTaskSettings,
    HostSettings,
    HttpSettings,
    LoggingSettings,
    NotificationSettings,
    StorageProviderSettings,
    TracingSettings,
)
from perdure.functions.retry_policies import RetryPolicy, read_retry_policy
from perdure.functions.setting_tree import (
    FILE_NAME,
    HostJsonError,
    Section,
    boolean,
    build_entries,
    integer,
    integers,
    limit,
    one_of,
    override_entries,
    shown,
    text,
    text_map,
    texts,
    timespan,
)

LEVELS = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")

_COUNT_MAX = 1_000_000
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)

_IGNORED_AT_ROOT = (
    "$schema", "singleton", "aggregator", "healthMonitor", "managedDependency", "customHandler", "concurrency",
    "extensionBundle", "sendCanceledInvocationsToWorker", "id",
)  # fmt: skip
_OTHER_EXTENSIONS = (
    "queues", "blobs", "tables", "serviceBus", "eventHubs", "eventGrid", "cosmosDB", "kafka", "rabbitMQ", "sendGrid",
    "signalR", "sql", "mysql", "redis", "twilio", "warmup", "timers", "mcp", "dapr", "openai",
)  # fmt: skip
_WITHOUT_EFFECT = (
    "extendedSessionIdleTimeoutInSeconds", "useAppLease", "useGracefulShutdown", "appLeaseOptions",
    "maxConcurrentOrchestratorFunctions", "maxConcurrentEntityFunctions", "entityMessageReorderWindowInMinutes",
    "maxGrpcMessageSizeInBytes", "grpcHttpClientTimeout",
)  # fmt: skip
_STORAGE_WITHOUT_EFFECT = (
    "controlQueueBatchSize", "controlQueueBufferThreshold", "controlQueueVisibilityTimeout",
    "workItemQueueVisibilityTimeout", "maxQueuePollingInterval", "fetchLargeMessagesAutomatically",
    "trackingStoreConnectionName", "trackingStoreNamePrefix", "useTablePartitionManagement",
    "useLegacyPartitionManagement", "allowReplayingTerminalInstances", "queueClientMessageEncoding", "partitionCount",
)  # fmt: skip


def read_host_file(folder: Path, environment: Mapping[str, str]) -> HostSettings:
    """Read ``folder/host.json``; defaults when there is none. Raises HostJsonError."""
    try:
        content = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        content = None
    except OSError as error:
        raise HostJsonError(f"{FILE_NAME} cannot be read: {error.strerror}") from error
    return read_host_json(content, environment)


def read_host_json(content: bytes | None, environment: Mapping[str, str]) -> HostSettings:
    """Read the file's bytes with the environment's overrides laid over.

    Raises HostJsonError with line and column, or the variable's name, for what cannot be used; unknown keys and
    those without effect become warnings.
    """
    values, source = ({}, "{}") if content is None else _parse(content)
    entries = build_entries(values)
    override_entries(entries, environment)
    warnings: list[str] = []
    root = Section(source, entries, "", warnings)
    if values:
        _check_version(root)
    else:
        root.ignore("version")
    extensions = root.section("extensions")
    functions = root.take("functions", texts, None)
    settings = HostSettings(
        http=_read_http(extensions.section("http")),
        logging=_read_logging(root.section("logging")),
        durable=_read_durable(extensions.section("durableTask"), warnings),
        functions=functions,
        function_timeout=root.take("functionTimeout", _timeout, timedelta(minutes=30)),
        retry=root.take("retry", _retry, None),
        watch_directories=root.take("watchDirectories", texts, ()),
        watch_files=root.take("watchFiles", texts, ()),
        telemetry_mode=root.take(
            "telemetryMode", one_of("ApplicationInsights", "OpenTelemetry"), "ApplicationInsights"
        ),
    )
    root.ignore(*_IGNORED_AT_ROOT)
    extensions.ignore(*_OTHER_EXTENSIONS)
    extensions.finish()
    if root.ignore("durableTask"):
        warnings.append(f"{FILE_NAME}: 'durableTask' at the root is not read; move it into 'extensions'.")
    root.finish()
    return replace(settings, warnings=tuple(warnings))


def _parse(content: bytes) -> tuple[dict[str, Any], str]:
    try:
        source = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise HostJsonError(f"{FILE_NAME}, line {line}: not UTF-8 (byte {error.start})") from error
    if not source.strip():
        return {}, "{}"
    try:
        values: Any = json.loads(source)
    except json.JSONDecodeError as error:
        is_comment = source.startswith(("//", "/*"), error.pos)
        what = "comments are not allowed in JSON" if is_comment else error.msg
        raise HostJsonError(f"{FILE_NAME}, line {error.lineno}, column {error.colno}: {what}") from error
    except RecursionError as error:
        raise HostJsonError(f"{FILE_NAME} is nested too deep") from error
    if not isinstance(values, dict):
        raise HostJsonError(f"{FILE_NAME}, line 1, column 1: must be a JSON object")
    return cast(dict[str, Any], values), source


def _check_version(root: Section) -> None:
    def read(value: Any) -> str:
        if value != "2.0":
            raise ValueError(f'must be "2.0" (the version of this file\'s format, not of your app), not {shown(value)}')
        return "2.0"

    if root.take("version", read, "") == "":
        raise HostJsonError(f'{FILE_NAME}, line 1, column 1: "version": "2.0" is missing (the version of the format)')


def _timeout(value: Any) -> timedelta | None:
    if value in (-1, "-1"):
        return None
    found = parse_timespan(text(value))
    if found < _SECOND:
        raise ValueError(f"must be at least one second, or -1 for no limit, not {shown(value)}")
    return found


def _retry(value: Any) -> RetryPolicy:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {shown(value)}")
    return read_retry_policy(cast(dict[str, Any], value))


def _read_http(section: Section) -> HttpSettings:
    hsts = section.section("hsts")
    hsts_age = hsts.take("maxAge", timespan(timedelta(0), 3650 * _DAY), 30 * _DAY)
    has_hsts = hsts.take("isEnabled", boolean, False)
    settings = HttpSettings(
        route_prefix=section.take("routePrefix", text, "api"),
        max_outstanding_requests=section.take("maxOutstandingRequests", limit(1, _COUNT_MAX), None),
        max_concurrent_requests=section.take("maxConcurrentRequests", limit(1, _COUNT_MAX), None),
        custom_headers=section.take("customHeaders", text_map, {}),
        hsts_max_age=hsts_age if has_hsts else None,
    )
    hsts.ignore("excludedHosts", "includeSubDomains", "preload")
    section.ignore("dynamicThrottlesEnabled")
    section.finish()
    return settings


def _read_logging(section: Section) -> LoggingSettings:
    levels = section.take("logLevel", _levels, {})
    console = section.section("console")
    settings = LoggingSettings(levels, console.take("isEnabled", boolean, True))
    console.ignore("disableColors")
    section.ignore("fileLoggingMode", "applicationInsights")
    section.finish()
    return settings


def _levels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object of levels, not {shown(value)}")
    levels: dict[str, str] = {}
    for category, level in cast(dict[str, Any], value).items():
        try:
            levels[category] = one_of(*LEVELS)(level)
        except ValueError as error:
            raise ValueError(f"for '{category}' {error}") from error
    return levels


def _read_durable(section: Section, warnings: list[str]) -> DurableTaskSettings:
    count = integer(1, _COUNT_MAX)
    has_sessions = section.take("extendedSessionsEnabled", boolean, False)
    if has_sessions:
        warnings.append(
            f"{FILE_NAME}: extendedSessionsEnabled has no effect for Python; sessions are always kept here."
        )
    http = section.section("httpSettings")
    settings = DurableTaskSettings(
        hub_name=section.take("hubName", text, None),
        default_version=section.take("defaultVersion", text, None),
        version_match_strategy=section.take(
            "versionMatchStrategy", one_of("None", "Strict", "CurrentOrOlder"), "CurrentOrOlder"
        ),
        version_failure_strategy=section.take("versionFailureStrategy", one_of("Reject", "Fail"), "Reject"),
        max_concurrent_activities=section.take("maxConcurrentActivityFunctions", count, None),
        max_concurrent_orchestrators=section.take("maxConcurrentOrchestratorFunctions", count, None),
        max_concurrent_entities=section.take("maxConcurrentEntityFunctions", count, None),
        max_entity_batch=section.take("maxEntityOperationBatchSize", count, 5000),
        max_orchestration_actions=section.take("maxOrchestrationActions", integer(1, 100_000_000), 1_000_000),
        replaceable_instances=section.take(
            "overridableExistingInstanceStates", one_of("NonRunningStates", "AnyState"), "NonRunningStates"
        ),
        entity_reorder_window=timedelta(
            minutes=section.take("entityMessageReorderWindowInMinutes", integer(0, 100_000), 30)
        ),
        rolls_back_entity_operations=section.take("rollbackEntityOperationsOnExceptions", boolean, True),
        raises_on_lost_events=section.take("throwStatusExceptionsOnRaiseEvent", boolean, None),
        stores_activity_inputs=section.take("storeInputsInOrchestrationHistory", boolean, False),
        has_local_rpc=section.take("localRpcEndpointEnabled", boolean, None),
        grpc_message_size_max=section.take("maxGrpcMessageSizeInBytes", integer(1024, 2**31 - 1), 4 * 1024 * 1024),
        grpc_timeout=section.take("grpcHttpClientTimeout", timespan(_SECOND, _DAY), timedelta(seconds=100)),
        http_poll_interval=timedelta(
            milliseconds=http.take("defaultAsyncRequestSleepTimeMilliseconds", integer(1, 2**31 - 1), 30_000)
        ),
        uses_forwarded_host=http.take("useForwardedHost", boolean, False),
        tracing=_read_tracing(section.section("tracing")),
        notifications=_read_notifications(section.section("notifications")),
        storage=_read_storage(section.section("storageProvider"), warnings),
    )
    http.finish()
    without_effect = section.ignore(*_WITHOUT_EFFECT)
    _warn_without_effect(without_effect, warnings)
    section.finish()
    return settings


def _read_tracing(section: Section) -> TracingSettings:
    settings = TracingSettings(
        is_enabled=section.take("distributedTracingEnabled", boolean, False),
        version=section.take("version", one_of("None", "V1", "V2"), "V1"),
        trace_payloads=section.take("traceInputsAndOutputs", boolean, False),
        trace_replay=section.take("traceReplayEvents", boolean, False),
    )
    section.take("distributedTracingProtocol", one_of("HttpCorrelationProtocol", "W3CTraceContext"), "")
    section.ignore("allowVerboseLinuxTelemetry")
    section.finish()
    return settings


def _read_notifications(section: Section) -> NotificationSettings:
    grid = section.section("eventGrid")
    settings = NotificationSettings(
        topic_endpoint=grid.take("topicEndpoint", text, None),
        key_setting_name=grid.take("keySettingName", text, None),
        publish_retry_count=grid.take("publishRetryCount", integer(0, 1000), 0),
        publish_retry_interval=grid.take("publishRetryInterval", timespan(timedelta(0), _HOUR), 5 * _MINUTE),
        publish_retry_statuses=grid.take("publishRetryHttpStatus", _statuses, None),
        event_types=grid.take("publishEventTypes", _event_types, ()),
    )
    grid.finish()
    section.finish()
    return settings


def _statuses(value: Any) -> frozenset[int]:
    return frozenset(integers(100, 599)(value))


def _event_types(value: Any) -> tuple[str, ...]:
    return tuple(one_of("Started", "Completed", "Failed", "Terminated")(name) for name in texts(value))


def _read_storage(section: Section, warnings: list[str]) -> StorageProviderSettings:
    old = section.take("azureStorageConnectionStringName", text, section.take("connectionStringName", text, None))
    settings = StorageProviderSettings(
        type=section.take("type", text, None),
        connection_name=section.take("connectionName", text, old),
        partition_count=section.take("partitionCount", integer(1, 1024), None),
    )
    _warn_without_effect(section.ignore(*_STORAGE_WITHOUT_EFFECT), warnings)
    section.finish()
    return settings


def _warn_without_effect(paths: list[str], warnings: list[str]) -> None:
    if paths:
        warnings.append(f"{FILE_NAME}: without effect here: {', '.join(paths)}.")
