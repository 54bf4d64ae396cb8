"""Connection strings: where a task hub is, and how one says who one is (scheduler.md §1)."""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

logger = logging.getLogger("durabletask")

DEFAULT_HUB = "default"
AUTHENTICATIONS = (
    "None",
    "DefaultAzure",
    "ManagedIdentity",
    "WorkloadIdentity",
    "Environment",
    "AzureCli",
    "AzurePowerShell",
    "VisualStudioCode",
    "InteractiveBrowser",
    "Token",
)
_ELSEWHERE = ("VisualStudio", "IntelliJ")
"""Those that other languages have."""

_FIELDS = {
    "Endpoint": "endpoint",
    "TaskHub": "task_hub",
    "Authentication": "authentication",
    "ClientID": "client_id",
    "TenantId": "tenant_id",
    "TokenFilePath": "token_file_path",
    "AdditionallyAllowedTenants": "additionally_allowed_tenants",
    "Token": "token",
    "TokenFile": "token_file",
    "CaFile": "ca_file",
}
_BY_LOWER_CASE = {key.lower(): name for key, name in _FIELDS.items()}
_ADDRESS = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_PLAIN_SCHEMES = ("http://", "grpc://", "embedded:", "embedded+")


@dataclass(frozen=True)
class ConnectionString:
    """The parts of a connection string. ``authentication`` is one of ``AUTHENTICATIONS``.

    ``Token``, ``TokenFile`` (with ``Authentication=Token``) and ``CaFile`` are for servers of one's own.
    Raises ValueError for parts that do not go together.
    """

    endpoint: str
    task_hub: str = DEFAULT_HUB
    authentication: str = "None"
    client_id: str | None = None
    tenant_id: str | None = None
    token_file_path: str | None = None
    additionally_allowed_tenants: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    ca_file: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "authentication", _authentication(self.authentication))
        tokens = [given for given in (self.token, self.token_file) if given is not None]
        if self.authentication == "Token":
            if len(tokens) != 1:
                raise ValueError("Authentication=Token needs one of Token=… and TokenFile=….")
        elif tokens:
            raise ValueError(f"Token and TokenFile go with Authentication=Token, not {self.authentication}.")

    @staticmethod
    def parse(text: str) -> "ConnectionString":
        """Read ``Key=Value;Key=Value``; the case of keys does not count, the last of a key does, values may be quoted.

        An address at its beginning is the endpoint: ``embedded://``, ``http://localhost:8080;TaskHub=orders``.
        Without ``TaskHub`` it is ``default``; ``Authentication`` may be missing for endpoints without TLS. Raises
        ValueError that names what is wrong, and never shows a token.
        """
        given: dict[str, str] = {}
        unknown: list[str] = []
        for key, value in _pairs(text):
            name = _BY_LOWER_CASE.get(key.lower())
            if name is None:
                unknown.append(key)
            else:
                given[name] = value
        if unknown:
            logger.warning(
                "A connection string has keys that mean nothing here: %s. Known: %s.",
                ", ".join(unknown),
                ", ".join(_FIELDS),
            )
        return _made({name: value for name, value in given.items() if value})

    @staticmethod
    def from_environment(environment: Mapping[str, str] | None = None) -> "ConnectionString":
        """What the environment says: DURABLE_TASK_SCHEDULER_CONNECTION_STRING, else DTS_CONNECTION_STRING, else
        ENDPOINT with TASKHUB; TASKHUB_NAME names another hub. Raises ValueError when nothing is said.
        """
        said = os.environ if environment is None else environment
        text = said.get("DURABLE_TASK_SCHEDULER_CONNECTION_STRING") or said.get("DTS_CONNECTION_STRING")
        endpoint = said.get("ENDPOINT")
        if text:
            found = ConnectionString.parse(text)
        elif endpoint:
            authentication = "None" if _is_plain(endpoint) else "DefaultAzure"
            task_hub = said.get("TASKHUB") or DEFAULT_HUB
            found = _made({"endpoint": endpoint, "task_hub": task_hub, "authentication": authentication})
        else:
            raise ValueError(
                "The environment names no scheduler: set DURABLE_TASK_SCHEDULER_CONNECTION_STRING, "
                "DTS_CONNECTION_STRING, or ENDPOINT and TASKHUB."
            )
        return replace(found, task_hub=said.get("TASKHUB_NAME") or found.task_hub)

    def __str__(self) -> str:
        """The string that ``parse`` reads, with everything in it, a token too."""
        parts: list[str] = []
        for key, name in _FIELDS.items():
            value = getattr(self, name)
            text = ",".join(value) if isinstance(value, tuple) else value
            if text:
                parts.append(f"{key}={_quoted(text)}")
        return ";".join(parts)


def _made(given: Mapping[str, str]) -> ConnectionString:
    parts = dict(given)
    endpoint = parts.pop("endpoint", "")
    if not endpoint:
        raise ValueError("The connection string has no Endpoint, as in Endpoint=http://localhost:8080;TaskHub=default.")
    if "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    if "authentication" not in parts and not _is_plain(endpoint):
        raise ValueError(f"The connection string needs Authentication=…, one of {', '.join(AUTHENTICATIONS)}.")
    tenants = parts.pop("additionally_allowed_tenants", "")
    return ConnectionString(
        endpoint, additionally_allowed_tenants=tuple(t.strip() for t in tenants.split(",") if t.strip()), **parts
    )


def _is_plain(endpoint: str) -> bool:
    return endpoint.lower().startswith(_PLAIN_SCHEMES)


def _authentication(given: str) -> str:
    for known in AUTHENTICATIONS:
        if known.lower() == given.lower():
            return known
    if given.lower() in (name.lower() for name in _ELSEWHERE):
        raise ValueError(f"Authentication={given} is not available in Python; use one of {', '.join(AUTHENTICATIONS)}.")
    raise ValueError(f"Authentication={given} is not known; use one of {', '.join(AUTHENTICATIONS)}.")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    at = number = 0
    if _ADDRESS.match(text):
        number = 1
        address, at = _value(text, 0)
        yield "Endpoint", address
    while at < len(text):
        number += 1
        end = text.find(";", at)
        end = len(text) if end < 0 else end
        equals = text.find("=", at, end)
        if equals >= 0:
            key = text[at:equals].strip()
            value, at = _value(text, equals + 1)
            yield key, value
            continue
        if text[at:end].strip():
            # It is not shown: it may be the rest of a secret that was not quoted.
            raise ValueError(
                f"Part {number} of the connection string has no '='. Give an address, such as embedded:// for a hub in "
                "this program or http://localhost:8080 for a server, or Key=Value;Key=Value, such as "
                "Endpoint=http://localhost:8080;TaskHub=default;Authentication=None."
            )
        at = end + 1


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins there, and the place after its ';'. A doubled quote in a quoted value is one."""
    while at < len(text) and text[at].isspace():
        at += 1
    quote = text[at : at + 1]
    if quote not in ("'", '"') or not quote:
        end = text.find(";", at)
        end = len(text) if end < 0 else end
        return text[at:end].strip(), end + 1
    found: list[str] = []
    at += 1
    while at < len(text):
        if text[at] != quote:
            found.append(text[at])
            at += 1
        elif text[at + 1 : at + 2] == quote:
            found.append(quote)
            at += 2
        else:
            end = text.find(";", at)
            end = len(text) if end < 0 else end
            if text[at + 1 : end].strip():
                raise ValueError("A quoted value of the connection string goes on after its closing quote.")
            return "".join(found), end + 1
    raise ValueError("A quoted value of the connection string has no closing quote.")


def _quoted(value: str) -> str:
    if ";" not in value and value == value.strip() and value[:1] not in ("'", '"'):
        return value
    return '"' + value.replace('"', '""') + '"'
