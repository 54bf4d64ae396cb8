"""What the command line and the environment tell the server."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perdure.core.status import TERMINAL, RuntimeStatus
from perdure.host.lease_setting import LEASE_SECONDS
from perdure.host.options import StartFailed
from perdure.storage.options import Durability

GRPC_PORT, HTTP_PORT, ADDRESS = 8080, 8082, "127.0.0.1"
STORE = "sqlite:.perdure/hub.db"
DEFAULT_HUB = "default"
HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
MEBIBYTE = 1024 * 1024
RECEIVE_MEBIBYTES_MIN = 4
CONNECTIONS_MAX = 10_000
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
USAGE = 2
REUSED_IDS = {"never": frozenset[RuntimeStatus](), "finished": TERMINAL}
"""``--reuse-ids``: whose ids a start may take that names no policy."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. ``client_roots``: callers must show a certificate signed by one of these."""

    certificate: Path
    key: Path
    client_roots: Path | None = None


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How the server runs."""

    address: str = ADDRESS
    grpc_port: int = GRPC_PORT
    http_port: int = HTTP_PORT
    sidecar_port: int | None = None
    store_url: str = STORE
    hubs: tuple[str, ...] = (DEFAULT_HUB,)
    """The first is the hub of callers who name none; its store is the one that ``store_url`` names."""
    creates_hubs: bool = False
    durability: Durability = Durability.FULL
    tls: TlsFiles | None = None
    asks_tokens: bool = False
    token_file: Path = Path(".perdure/hub.db.tokens")
    receive_bytes_max: int = 64 * MEBIBYTE
    item_bytes_max: int = 4 * MEBIBYTE
    """What every worker takes in one message; 4 MiB is gRPC's own limit, unless a program raises it."""
    payload_bytes_max: int = 16 * MEBIBYTE
    history_events_max: int = 1_000_000
    connections_max: int = CONNECTIONS_MAX
    """Over gRPC, as far as the process may open so many files."""
    replaceable: frozenset[RuntimeStatus] = frozenset()
    """Instances of these statuses give way to a start of their id that names no policy."""
    grace_seconds: float = 30.0
    lease_seconds: float = LEASE_SECONDS

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.address)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own. Raises StartFailed for what is no address."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        raise StartFailed(
            f"--host takes an IP address, such as 127.0.0.1 or 0.0.0.0, not '{address}'.", USAGE
        ) from None


def store_url_of(said: str | None, environment: Mapping[str, str], *, in_memory: bool) -> str:
    """The store: ``--memory``, ``--store``, PERDURE_STORE, else a file in this folder. A plain path names a file."""
    if in_memory:
        if said is not None:
            raise StartFailed("--memory and --store name two stores; keep one.", USAGE)
        return "memory:"
    url = said or environment.get("PERDURE_STORE") or STORE
    return url if _URL.match(url) else f"sqlite:{url}"


def hub_names_of(said: str | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hubs: ``--hubs``, PERDURE_HUBS, DTS_TASK_HUB_NAMES, else the default one. Raises StartFailed."""
    text = said or environment.get("PERDURE_HUBS") or environment.get("DTS_TASK_HUB_NAMES") or DEFAULT_HUB
    names: dict[str, str] = {}
    for name in (part.strip() for part in text.split(",")):
        if name:
            check_hub_name(name)
            names.setdefault(name.lower(), name)
    if not names:
        raise StartFailed(f"'{text}' names no task hub; write names with commas between.", USAGE)
    return tuple(names.values())


def check_hub_name(name: str) -> None:
    """Raises StartFailed for a name that no hub may have."""
    if not HUB_NAME.fullmatch(name):
        raise StartFailed(
            f"'{name}' is no name of a task hub: 1 to 100 letters, digits, '-' and '_', the first no sign.", USAGE
        )


def token_file_of(said: Path | None, store_url: str) -> Path:
    """Where the tokens are: ``--token-file``, else beside the store."""
    if said is not None:
        return said
    scheme, _, path = store_url.partition(":")
    if scheme == "sqlite" and path:
        return Path(f"{path.removeprefix('///') if path.startswith('///') else path}.tokens")
    return Path(".perdure") / "tokens"


def check_exposure(options: ServeOptions, *, is_insecure: bool) -> None:
    """Raises StartFailed where others could reach the server without TLS or without a token (reliability.md S1)."""
    if options.is_local or is_insecure:
        return
    missing = ["--tls-cert and --tls-key"] if options.tls is None else []
    missing += [] if options.asks_tokens else ["--auth"]
    if missing:
        raise StartFailed(
            f"Listening on {options.address} needs {' and '.join(missing)}; or --insecure, which lets everybody who "
            "reaches the port read, change and run everything.",
            USAGE,
        )


def tls_files_of(certificate: Path | None, key: Path | None, client_roots: Path | None) -> TlsFiles | None:
    """The files of ``--tls-cert``, ``--tls-key`` and ``--tls-ca``. Raises StartFailed when one is missing."""
    if certificate is None and key is None and client_roots is None:
        return None
    if certificate is None or key is None:
        raise StartFailed("TLS needs both: --tls-cert and --tls-key.", USAGE)
    return TlsFiles(certificate, key, client_roots)


def grace_of(environment: Mapping[str, str]) -> float:
    """PERDURE_SHUTDOWN_GRACE_SECONDS: how long workers may finish. Raises StartFailed."""
    text = environment.get("PERDURE_SHUTDOWN_GRACE_SECONDS")
    try:
        seconds = 30.0 if not text else float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise StartFailed(f"PERDURE_SHUTDOWN_GRACE_SECONDS is a number of seconds, not '{text}'.", USAGE)
    return seconds
