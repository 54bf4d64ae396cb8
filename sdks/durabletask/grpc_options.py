"""How gRPC channels behave, and when clients and workers open new ones."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class GrpcRetryPolicyOptions:
    """Which calls gRPC itself repeats, and when. Raises ValueError for values that make no sense."""

    max_attempts: int = 4
    initial_backoff_seconds: float = 0.05
    max_backoff_seconds: float = 0.25
    backoff_multiplier: float = 2.0
    retryable_status_codes: list[str] = field(default_factory=lambda: ["UNAVAILABLE"])

    def __post_init__(self) -> None:
        _require(self.max_attempts >= 2, "max_attempts must be >= 2")
        _require(self.initial_backoff_seconds > 0, "initial_backoff_seconds must be > 0")
        _require(self.max_backoff_seconds > 0, "max_backoff_seconds must be > 0")
        _require(self.backoff_multiplier > 0, "backoff_multiplier must be > 0")
        _require(
            self.max_backoff_seconds >= self.initial_backoff_seconds,
            "max_backoff_seconds must be >= initial_backoff_seconds",
        )
        _require(bool(self.retryable_status_codes), "retryable_status_codes cannot be empty")
        self.to_service_config()

    def to_service_config(self) -> dict[str, Any]:
        """The service configuration that gRPC understands."""
        policy = {
            "maxAttempts": self.max_attempts,
            "initialBackoff": _duration(self.initial_backoff_seconds),
            "maxBackoff": _duration(self.max_backoff_seconds),
            "backoffMultiplier": self.backoff_multiplier,
            "retryableStatusCodes": self.retryable_status_codes,
        }
        return {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}


@dataclass(slots=True, kw_only=True)
class GrpcChannelOptions:
    """Options of a channel; None leaves gRPC's own. ``raw_options`` are given as they are, before the others."""

    max_receive_message_length: int | None = None
    max_send_message_length: int | None = None
    keepalive_time_ms: int | None = None
    keepalive_timeout_ms: int | None = None
    keepalive_permit_without_calls: bool | None = None
    retry_policy: GrpcRetryPolicyOptions | None = None
    raw_options: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])

    def to_grpc_options(self) -> list[tuple[str, Any]]:
        """The options as gRPC takes them."""
        permit = self.keepalive_permit_without_calls
        named = {
            "grpc.max_receive_message_length": self.max_receive_message_length,
            "grpc.max_send_message_length": self.max_send_message_length,
            "grpc.keepalive_time_ms": self.keepalive_time_ms,
            "grpc.keepalive_timeout_ms": self.keepalive_timeout_ms,
            "grpc.keepalive_permit_without_calls": None if permit is None else int(permit),
        }
        if self.retry_policy is not None:
            named["grpc.enable_retries"] = 1
        options: list[tuple[str, Any]] = [(name, value) for name, value in named.items() if value is not None]
        if self.retry_policy is not None:
            options.append(("grpc.service_config", json.dumps(self.retry_policy.to_service_config())))
        return [*self.raw_options, *options]


@dataclass(slots=True, kw_only=True)
class GrpcWorkerResiliencyOptions:
    """When a worker gives up a connection and how soon it tries again. Raises ValueError.

    ``silent_disconnect_timeout_seconds`` 0: a silent connection is kept; ``channel_recreate_failure_threshold`` 0: a
    channel is kept.
    """

    hello_timeout_seconds: float = 30.0
    silent_disconnect_timeout_seconds: float = 120.0
    channel_recreate_failure_threshold: int = 5
    reconnect_backoff_base_seconds: float = 1.0
    reconnect_backoff_cap_seconds: float = 30.0

    def __post_init__(self) -> None:
        _require(self.hello_timeout_seconds > 0, "hello_timeout_seconds must be > 0")
        _require(self.silent_disconnect_timeout_seconds >= 0, "silent_disconnect_timeout_seconds must be >= 0")
        _require(self.channel_recreate_failure_threshold >= 0, "channel_recreate_failure_threshold must be >= 0")
        _require(self.reconnect_backoff_base_seconds > 0, "reconnect_backoff_base_seconds must be > 0")
        _require(self.reconnect_backoff_cap_seconds > 0, "reconnect_backoff_cap_seconds must be > 0")
        _require(
            self.reconnect_backoff_cap_seconds >= self.reconnect_backoff_base_seconds,
            "reconnect_backoff_cap_seconds must be >= reconnect_backoff_base_seconds",
        )


@dataclass(slots=True, kw_only=True)
class GrpcClientResiliencyOptions:
    """After how many failures in a row a client opens a new channel, and how often at most. Raises ValueError.

    ``channel_recreate_failure_threshold`` 0: never.
    """

    channel_recreate_failure_threshold: int = 5
    min_recreate_interval_seconds: float = 30.0

    def __post_init__(self) -> None:
        _require(self.channel_recreate_failure_threshold >= 0, "channel_recreate_failure_threshold must be >= 0")
        _require(self.min_recreate_interval_seconds >= 0, "min_recreate_interval_seconds must be >= 0")


def _require(fits: bool, rule: str) -> None:
    if not fits:
        raise ValueError(rule)


def _duration(seconds: float) -> str:
    nanoseconds = round(seconds * 1_000_000_000)
    _require(nanoseconds > 0, f"{seconds!r} seconds are less than a nanosecond, the shortest pause of gRPC.")
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") + "s"
