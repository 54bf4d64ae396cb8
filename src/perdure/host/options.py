"""What the command line tells the Functions host."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

DEFAULT_PORT = 7071
DEFAULT_ADDRESS = "127.0.0.1"


class Sdk(Enum):
    """Which SDK serves the import names of user code."""

    OURS = "ours"
    INSTALLED = "installed"


@dataclass(frozen=True, slots=True)
class HttpsOptions:
    """``certificate`` None: one made here is used. ``password`` is the text itself, or a file that holds it."""

    certificate: Path | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How to start the host. None means: not said on the command line."""

    app_folder: Path
    port: int | None = None
    address: str | None = None
    store: str | None = None
    functions: tuple[str, ...] | None = None
    user_log_level: str | None = None
    verbose: bool = False
    no_auth: bool = False
    enable_auth: bool = False
    cors: str | None = None
    """Origins, separated by commas."""
    cors_credentials: bool = False
    https: HttpsOptions | None = None
    """None: plain HTTP."""
    allowed_hosts: tuple[str, ...] = ()
    durability: str | None = None
    sdk: Sdk | None = None
    grpc_port: int | None = None
    """None: no gRPC door."""


class StartFailed(Exception):
    """The host cannot start; the message is for the user, ``code`` for the exit."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
