"""Channels and loggers as the official package makes them, and its old way to read and write JSON."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from durabletask.client_logging import client_logger
from durabletask.grpc_options import GrpcChannelOptions
from durabletask.serialization import AUTO_OBJECT, DEFAULT_DATA_CONVERTER
from durabletask.transports.addresses import DEFAULT_ADDRESS

if TYPE_CHECKING:
    import grpc
    import grpc.aio

    ClientInterceptor = (
        grpc.UnaryUnaryClientInterceptor
        | grpc.UnaryStreamClientInterceptor
        | grpc.StreamUnaryClientInterceptor
        | grpc.StreamStreamClientInterceptor
    )
    AsyncClientInterceptor = (
        grpc.aio.UnaryUnaryClientInterceptor
        | grpc.aio.UnaryStreamClientInterceptor
        | grpc.aio.StreamUnaryClientInterceptor
        | grpc.aio.StreamStreamClientInterceptor
    )

AUTO_SERIALIZED = AUTO_OBJECT
SECURE_PROTOCOLS = ["https://", "grpcs://"]
INSECURE_PROTOCOLS = ["http://", "grpc://"]

_INTERCEPTORS = (
    "UnaryUnaryClientInterceptor",
    "UnaryStreamClientInterceptor",
    "StreamUnaryClientInterceptor",
    "StreamStreamClientInterceptor",
)

get_logger = client_logger


def __getattr__(name: str) -> Any:
    if name not in ("ClientInterceptor", "AsyncClientInterceptor"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from durabletask.grpc_extra import require_grpc

    grpc = require_grpc()
    unary, *others = (getattr(grpc if name == "ClientInterceptor" else grpc.aio, kind) for kind in _INTERCEPTORS)
    for other in others:
        unary = unary | other
    return unary


def get_default_host_address() -> str:
    """Where a server is looked for when nobody says."""
    return DEFAULT_ADDRESS


def get_grpc_channel(
    host_address: str | None,
    secure_channel: bool = False,
    interceptors: "Sequence[ClientInterceptor] | None" = None,
    channel_options: GrpcChannelOptions | None = None,
) -> "grpc.Channel":
    """A channel; a scheme of the address says more than ``secure_channel``. Raises ImportError without gRPC."""
    from durabletask.transports.channels import ChannelTerms, blocking_channel

    return blocking_channel(ChannelTerms.of(host_address, secure_channel, channel_options), interceptors or ())


def get_async_grpc_channel(
    host_address: str | None,
    secure_channel: bool = False,
    interceptors: "Sequence[AsyncClientInterceptor] | None" = None,
    channel_options: GrpcChannelOptions | None = None,
) -> "grpc.aio.Channel":
    """The same for the running loop."""
    from durabletask.transports.channels import ChannelTerms, async_channel

    return async_channel(ChannelTerms.of(host_address, secure_channel, channel_options), interceptors or ())


def to_json(obj: Any) -> str:
    """JSON of a value, also of None. Deprecated: a DataConverter does this."""
    _warn("to_json")
    return DEFAULT_DATA_CONVERTER.serialize(obj) or "null"


def from_json(json_str: str | bytes | bytearray, expected_type: Any = None) -> Any:
    """The value of JSON. Deprecated: a DataConverter does this."""
    _warn("from_json")
    text = json_str if isinstance(json_str, str) else bytes(json_str).decode()
    return DEFAULT_DATA_CONVERTER.deserialize(text, expected_type)


def _warn(name: str) -> None:
    warnings.warn(
        f"durabletask.internal.shared.{name} is deprecated; use durabletask.serialization.JsonDataConverter.",
        DeprecationWarning,
        stacklevel=3,
    )


__all__ = [
    "AUTO_SERIALIZED",
    "INSECURE_PROTOCOLS",
    "SECURE_PROTOCOLS",
    "AsyncClientInterceptor",  # pyright: ignore[reportUnsupportedDunderAll] - made when it is asked for
    "ClientInterceptor",  # pyright: ignore[reportUnsupportedDunderAll]
    "from_json",
    "get_async_grpc_channel",
    "get_default_host_address",
    "get_grpc_channel",
    "get_logger",
    "to_json",
]
