"""gRPC channels of both kinds. Importing this imports gRPC."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durabletask.grpc_extra import require_grpc
from durabletask.grpc_options import GrpcChannelOptions
from durabletask.transports.addresses import read_address

require_grpc()

import grpc  # noqa: E402 - the error above says what is missing
import grpc.aio  # noqa: E402

RECEIVE_LIMIT = "grpc.max_receive_message_length"
RECEIVE_BYTES_MAX = 64 * 1024 * 1024
"""gRPC's own limit of 4 MiB is less than a payload may be."""


@dataclass(frozen=True, slots=True)
class ChannelTerms:
    """What a channel is opened with. ``roots`` None: the authorities that the system trusts."""

    target: str
    is_secure: bool
    options: GrpcChannelOptions | None = None
    roots: bytes | None = None

    @staticmethod
    def of(
        address: str | None, secure: bool, options: GrpcChannelOptions | None, ca_file: str | None = None
    ) -> "ChannelTerms":
        """Raises ValueError for a file of authorities that cannot be read."""
        target, is_secure = read_address(address, secure)
        if ca_file is None:
            return ChannelTerms(target, is_secure, options)
        try:
            return ChannelTerms(target, is_secure, options, Path(ca_file).read_bytes())
        except OSError as error:
            raise ValueError(f"CaFile: {ca_file} cannot be read: {error.strerror}.") from error

    def as_grpc(self) -> list[tuple[str, Any]]:
        """The options as gRPC takes them."""
        said = [] if self.options is None else self.options.to_grpc_options()
        if any(name == RECEIVE_LIMIT for name, _ in said):
            return said
        return [(RECEIVE_LIMIT, RECEIVE_BYTES_MAX), *said]

    def credentials(self) -> "grpc.ChannelCredentials":
        """For a secure channel."""
        return grpc.ssl_channel_credentials(self.roots)


def blocking_channel(terms: ChannelTerms, interceptors: Sequence[Any]) -> grpc.Channel:
    """A channel for any thread; nothing is connected yet."""
    if terms.is_secure:
        channel = grpc.secure_channel(terms.target, terms.credentials(), options=terms.as_grpc())
    else:
        channel = grpc.insecure_channel(terms.target, options=terms.as_grpc())
    return grpc.intercept_channel(channel, *interceptors) if interceptors else channel


def async_channel(terms: ChannelTerms, interceptors: Sequence[Any]) -> grpc.aio.Channel:
    """A channel for the running loop; nothing is connected yet."""
    if terms.is_secure:
        return grpc.aio.secure_channel(
            terms.target, terms.credentials(), options=terms.as_grpc(), interceptors=list(interceptors)
        )
    return grpc.aio.insecure_channel(terms.target, options=terms.as_grpc(), interceptors=list(interceptors))
