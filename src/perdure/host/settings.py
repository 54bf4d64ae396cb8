"""From files, environment and arguments to what each part of the host is given."""

import ipaddress
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from perdure.client import LostEvents
from perdure.contracts.records import ReusePolicy
from perdure.core.decisions import DecisionLimits
from perdure.core.registry import FailedOperations
from perdure.core.versioning import FailureStrategy, MatchStrategy, Versioning
from perdure.execution.local import ExecutionLimits
from perdure.functions.app_settings import AppSettings
from perdure.functions.host_json import LEVELS, read_host_file
from perdure.functions.host_settings import HostSettings, task_hub_name
from perdure.functions.local_settings import LocalSettings, apply_local_settings, read_local_settings
from perdure.functions.logging_setup import LogLevels, log_levels
from perdure.host.hub import HubOptions, activities_by_default, threads_by_default
from perdure.host.lease_setting import LEASE_SETTING, lease_seconds_of
from perdure.host.options import DEFAULT_ADDRESS, DEFAULT_PORT, HttpsOptions, Sdk, StartFailed, StartOptions
from perdure.host.sdk_choice import chosen_sdk
from perdure.http_api.allowed_hosts import LOOPBACK_NAMES
from perdure.http_api.cors import CorsRules, read_origins
from perdure.storage.options import Durability, StorageOptions
from perdure.storage.places import FORMS, is_store_url

RUNTIME_SETTING = "FUNCTIONS_WORKER_RUNTIME"
THREAD_COUNT_SETTING = "PYTHON_THREADPOOL_THREAD_COUNT"
PROCESS_COUNT_SETTING = "FUNCTIONS_WORKER_PROCESS_COUNT"
PROCESSES_MAX = 10
STORE_SETTING = "PERDURE_STORE"
DURABILITY_SETTING = "PERDURE_DURABILITY"
BODY_LIMIT_SETTING = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
GRACE_SETTING = "PERDURE_SHUTDOWN_GRACE_SECONDS"
GRACE_SECONDS = 30.0
CORS_SETTING = "CORS_ALLOWED_ORIGINS"
CORS_CREDENTIALS_SETTING = "CORS_SUPPORT_CREDENTIALS"
LEVEL_SETTING = "FUNCTIONS_USER_LOG_LEVEL"
_SERVER_KIND = "postgresql"
_STORE_KINDS = frozenset({"sqlite", _SERVER_KIND, "memory"})


@dataclass(frozen=True, slots=True)
class Settings:
    """One typed object for everything; ``notices`` are for the user."""

    app_folder: Path
    port: int
    address: str
    checks_keys: bool
    """Callers need keys: wherever other machines can reach the port, and on loopback when asked for."""
    cors: CorsRules
    https: HttpsOptions | None
    """None: plain HTTP."""
    hub_name: str
    connection_name: str
    hub: HubOptions
    host: HostSettings
    app: AppSettings
    functions: tuple[str, ...] | None
    """Run only these; None for all."""
    allowed_hosts: frozenset[str]
    threads_max: int
    processes: int
    """Worker processes for plain activities; 1 is this process alone."""
    grace_seconds: float
    log_levels: LogLevels
    sdk: Sdk
    grpc_port: int | None
    """None: no gRPC door."""
    notices: tuple[str, ...]


def read_settings(options: StartOptions, environment: MutableMapping[str, str]) -> Settings:
    """Read local.settings.json and host.json of the app; values go into ``environment``.

    Raises StartFailed, LocalSettingsError, HostJsonError; ValueError naming what is wrong.
    """
    folder = options.app_folder.resolve()
    if not folder.is_dir():
        raise StartFailed(f"The app folder {options.app_folder} does not exist.", 1)
    local = read_local_settings(folder)
    port = options.port if options.port is not None else local.http_port or DEFAULT_PORT
    address = options.address or local.http_address or DEFAULT_ADDRESS
    notices = [*local.notices, *apply_local_settings(local, environment, folder=folder, port=port)]
    app = AppSettings(environment)
    _check_runtime(app)
    host = read_host_file(folder, environment)
    threads_max = _thread_count(app, notices)
    sdk = chosen_sdk(options.sdk, app)
    processes = _process_count(app, notices) if sdk is Sdk.OURS else 1
    return Settings(
        app_folder=folder,
        port=port,
        address=(checked := checked_address(address)),
        checks_keys=(checks := not options.no_auth and (options.enable_auth or not is_loopback(checked))),
        https=options.https,
        cors=_cors(options, local, app, checks_keys=checks),
        hub_name=task_hub_name(host.durable.hub_name, app),
        connection_name=_connection_name(host),
        hub=_hub_options(options, folder, host, app, threads_max * processes),
        host=host,
        app=app,
        functions=options.functions or host.functions,
        allowed_hosts=_allowed_hosts(options, address, app),
        threads_max=threads_max,
        processes=processes,
        grace_seconds=_grace_seconds(app, notices),
        log_levels=log_levels(
            host.logging.levels,
            is_verbose=options.verbose,
            user_level=options.user_log_level or _user_level(app, notices),
            shows_replays=host.durable.tracing.trace_replay,
        ),
        sdk=sdk,
        grpc_port=options.grpc_port,
        notices=(*notices, *host.warnings),
    )


def _check_runtime(app: AppSettings) -> None:
    runtime = (app.get(RUNTIME_SETTING) or "python").strip()
    if runtime.lower() != "python":
        raise StartFailed(
            f"{RUNTIME_SETTING} is '{runtime}': this host runs Python apps only. "
            "Set it to python, in local.settings.json or the environment, or take it out.",
            1,
        )


def checked_address(address: str) -> str:
    """The IP address to listen on. Raises StartFailed for a name."""
    try:
        parsed = ipaddress.ip_address("127.0.0.1" if address == "localhost" else address)
    except ValueError:
        raise StartFailed(f"--host takes an IP address such as 127.0.0.1 or 0.0.0.0, not '{address}'.", 2) from None
    return str(parsed)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    return ipaddress.ip_address(address).is_loopback


def _cors(options: StartOptions, local: LocalSettings, app: AppSettings, *, checks_keys: bool) -> CorsRules:
    text = options.cors or local.cors or app.get(CORS_SETTING) or ""
    # In containers the setting is a JSON array.
    origins = [origin.strip(' []"') for origin in text.split(",")]
    credentials = (app.get(CORS_CREDENTIALS_SETTING) or "").lower() == "true"
    return read_origins(
        origins,
        allows_credentials=options.cors_credentials or local.cors_credentials or credentials,
        checks_keys=checks_keys,
    )


def store_url(said: str | None, folder: Path, host: HostSettings, app: AppSettings) -> str:
    """Which store (architecture.md §1): the argument, the environment, host.json, else a file under the app."""
    if said is not None:
        return said
    configured = app.get(STORE_SETTING)
    if configured:
        return configured
    provider = host.durable.storage
    kind = (provider.type or "").lower()
    if kind in _STORE_KINDS:
        if provider.connection_name is not None:
            return _url_in(provider.connection_name, app)
        if kind == "memory":
            return "memory:"
        if kind == _SERVER_KIND:
            raise StartFailed(
                "host.json chooses PostgreSQL as store and says no place: name the setting that holds its URL in "
                "storageProvider.connectionName, or give the URL with --store or PERDURE_STORE.",
                3,
            )
    return f"sqlite:{folder / '.perdure' / 'hub.db'}"


def _url_in(setting: str, app: AppSettings) -> str:
    url = app.get(setting)
    if not url:
        raise StartFailed(
            f"host.json says that the setting '{setting}' holds the store's URL, but there is no such setting.", 1
        )
    if not is_store_url(url):
        # What it holds may be a secret.
        raise StartFailed(
            f"host.json says that the setting '{setting}' holds the store's URL, but what it holds names no store; "
            f"use {FORMS}.",
            3,
        )
    return url


def _hub_options(
    options: StartOptions, folder: Path, host: HostSettings, app: AppSettings, threads_max: int
) -> HubOptions:
    durable = host.durable
    durability = options.durability or app.get(DURABILITY_SETTING) or Durability.FULL.value
    try:
        kept = Durability(durability.lower())
    except ValueError:
        raise StartFailed(f"The durability is 'full' or 'relaxed', not '{durability}'.", 2) from None
    storage = StorageOptions(
        durability=kept, partitions=_partitions(host), lease_seconds=lease_seconds_of(app.get(LEASE_SETTING))
    )
    return HubOptions(
        store_url=store_url(options.store, folder, host, app),
        name=task_hub_name(host.durable.hub_name, app),
        state_folder=folder / ".perdure",
        storage=storage,
        decisions=DecisionLimits(
            actions_max=durable.max_orchestration_actions, default_version=durable.default_version
        ),
        versioning=Versioning(
            durable.default_version,
            MatchStrategy(durable.version_match_strategy),
            FailureStrategy(durable.version_failure_strategy),
        ),
        reuse=ReusePolicy(durable.replaceable_instances),
        lost_events=LostEvents.DROPPED if durable.raises_on_lost_events is False else LostEvents.REFUSED,
        failed_operations=(
            FailedOperations.ROLLED_BACK if durable.rolls_back_entity_operations else FailedOperations.KEPT
        ),
        entity_batch_max=durable.max_entity_batch,
        execution=ExecutionLimits(
            threads_max,
            durable.max_concurrent_activities or activities_by_default(),
            activity_seconds_max=None if host.function_timeout is None else host.function_timeout.total_seconds(),
        ),
    )


def _partitions(host: HostSettings) -> int | None:
    """What host.json asks for; of other stores than ours it says the number as well, and means something else."""
    provider = host.durable.storage
    return provider.partition_count if (provider.type or "").lower() == _SERVER_KIND else None


def _connection_name(host: HostSettings) -> str:
    return host.durable.storage.connection_name or "AzureWebJobsStorage"


def _thread_count(app: AppSettings, notices: list[str]) -> int:
    text = app.get(THREAD_COUNT_SETTING)
    if text is None:
        return threads_by_default()
    if text.strip().isdigit() and int(text) >= 1:
        return int(text)
    notices.append(f"{THREAD_COUNT_SETTING} is '{text}', which is no number of threads; the default is used.")
    return threads_by_default()


def _user_level(app: AppSettings, notices: list[str]) -> str | None:
    text = app.get(LEVEL_SETTING)
    if text is None or text.strip().lower() in {level.lower() for level in LEVELS}:
        return text
    notices.append(f"{LEVEL_SETTING} is '{text}', which is none of {', '.join(LEVELS)}; it is ignored.")
    return None


def _process_count(app: AppSettings, notices: list[str]) -> int:
    text = app.get(PROCESS_COUNT_SETTING)
    if text is None:
        return 1
    if text.strip().isdigit() and 1 <= int(text) <= PROCESSES_MAX:
        return int(text)
    notices.append(f"{PROCESS_COUNT_SETTING} is '{text}'; it is a number from 1 to {PROCESSES_MAX}, and 1 is used.")
    return 1


def _grace_seconds(app: AppSettings, notices: list[str]) -> float:
    text = app.get(GRACE_SETTING)
    if text is None:
        return GRACE_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds <= 86_400:
        return seconds
    notices.append(f"{GRACE_SETTING} is '{text}', which is no number of seconds; {GRACE_SECONDS:.0f} are used.")
    return GRACE_SECONDS


def _allowed_hosts(options: StartOptions, address: str, app: AppSettings) -> frozenset[str]:
    if options.allowed_hosts:
        return frozenset(options.allowed_hosts)
    named = {app.get("WEBSITE_HOSTNAME"), address}
    if ipaddress.ip_address("127.0.0.1" if address == "localhost" else address).is_unspecified:
        # Whoever listens on every address is reached by names that only its network knows.
        return frozenset({"*"})
    return LOOPBACK_NAMES | {name for name in named if name}
