"""host.json as typed values: what each part of the host is given. Defaults are those of functions-host.md §2 and §3."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from perdure.functions.app_settings import AppSettings
from perdure.functions.retry_policies import RetryPolicy

DEFAULT_HUB = "TestHubName"
_HUB_LENGTH_MIN, _HUB_LENGTH_MAX = 3, 45


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """``extensions.http``. None means no limit."""

    route_prefix: str = "api"
    max_outstanding_requests: int | None = None
    max_concurrent_requests: int | None = None
    custom_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hsts_max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """``logging``: level names by category prefix; ``default`` is the rest."""

    levels: Mapping[str, str] = field(default_factory=dict[str, str])
    is_console_enabled: bool = True


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """``extensions.durableTask.tracing``."""

    is_enabled: bool = False
    version: str = "V1"
    trace_payloads: bool = False
    trace_replay: bool = False


@dataclass(frozen=True, slots=True)
class StorageProviderSettings:
    """``extensions.durableTask.storageProvider``: which store (architecture.md §1)."""

    type: str | None = None
    connection_name: str | None = None
    partition_count: int | None = None


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """``extensions.durableTask.notifications.eventGrid``."""

    topic_endpoint: str | None = None
    key_setting_name: str | None = None
    publish_retry_count: int = 0
    publish_retry_interval: timedelta = timedelta(minutes=5)
    publish_retry_statuses: frozenset[int] | None = None
    """The HTTP statuses after which an event is sent again; None: after any that is no success."""
    event_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DurableTaskSettings:
    """``extensions.durableTask``. Limits that are None follow the machine."""

    hub_name: str | None = None
    default_version: str | None = None
    version_match_strategy: str = "CurrentOrOlder"
    version_failure_strategy: str = "Reject"
    max_concurrent_activities: int | None = None
    max_concurrent_orchestrators: int | None = None
    max_concurrent_entities: int | None = None
    max_entity_batch: int = 5000
    max_orchestration_actions: int = 1_000_000
    replaceable_instances: str = "NonRunningStates"
    entity_reorder_window: timedelta = timedelta(minutes=30)
    rolls_back_entity_operations: bool = True
    raises_on_lost_events: bool | None = None
    stores_activity_inputs: bool = False
    has_local_rpc: bool | None = None
    grpc_message_size_max: int = 4 * 1024 * 1024
    grpc_timeout: timedelta = timedelta(seconds=100)
    http_poll_interval: timedelta = timedelta(seconds=30)
    uses_forwarded_host: bool = False
    tracing: TracingSettings = TracingSettings()
    notifications: NotificationSettings = NotificationSettings()
    storage: StorageProviderSettings = StorageProviderSettings()


@dataclass(frozen=True, slots=True)
class HostSettings:
    """All of host.json. ``warnings`` are for the user, once each at start."""

    http: HttpSettings = HttpSettings()
    logging: LoggingSettings = LoggingSettings()
    durable: DurableTaskSettings = DurableTaskSettings()
    functions: tuple[str, ...] | None = None
    """The allow-list; None allows all."""
    function_timeout: timedelta | None = timedelta(minutes=30)
    retry: RetryPolicy | None = None
    """For functions whose trigger can be retried and that have no policy of their own."""
    watch_directories: tuple[str, ...] = ()
    watch_files: tuple[str, ...] = ()
    telemetry_mode: str = "ApplicationInsights"
    warnings: tuple[str, ...] = ()


def task_hub_name(configured: str | None, settings: AppSettings) -> str:
    """The name of the app's hub (functions-host.md §3.1). Raises ValueError naming the rule it breaks."""
    if configured is not None:
        return _checked_hub_name(settings.resolve(configured))
    slot = settings.get("WEBSITE_SLOT_NAME")
    if slot is not None and slot.lower() != "production":
        raise ValueError(
            f"The app runs in slot '{slot}' and shares its store with others: set extensions.durableTask.hubName."
        )
    site = settings.get("WEBSITE_SITE_NAME")
    return DEFAULT_HUB if site is None else _hub_name_of_site(site)


def _hub_name_of_site(site: str) -> str:
    name = "".join(c for c in site if c.isascii() and c.isalnum())
    if not name:
        return "DefaultTaskHub"
    if name[0].isdigit():
        name = "t" + name
    name = name[:_HUB_LENGTH_MAX]
    return name + "Hub" if len(name) < _HUB_LENGTH_MIN else name


def _checked_hub_name(name: str) -> str:
    if not (name.isascii() and name.isalnum() and name[0].isalpha()):
        raise ValueError(f"The task hub name '{name}' must be letters and digits, a letter first.")
    if not _HUB_LENGTH_MIN <= len(name) <= _HUB_LENGTH_MAX:
        raise ValueError(
            f"The task hub name '{name}' has {len(name)} characters; "
            f"it may have {_HUB_LENGTH_MIN} to {_HUB_LENGTH_MAX}."
        )
    return name
