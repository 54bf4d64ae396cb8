"""What a task hub refuses, as errors: those of gRPC where it is installed, whatever carried the call.

Import this module when a call was refused, not before: it imports gRPC.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grpc import RpcError, StatusCode
else:
    try:
        from grpc import RpcError
    except ImportError:

        class RpcError(Exception):
            """Stands for gRPC's own, which is not installed."""


class TaskHubCallError(RpcError):
    """The task hub refused a call. ``code()`` is a ``grpc.StatusCode`` where gRPC is installed, else its name."""

    def __init__(self, code_name: str, details: str) -> None:
        super().__init__(details)
        self._code_name = code_name
        self._details = details

    def code(self) -> "StatusCode | Any":
        """Why, in one word."""
        try:
            from grpc import StatusCode
        except ImportError:
            return self._code_name
        return StatusCode[self._code_name]

    def details(self) -> str:
        """Why, in words."""
        return self._details


class OrchestrationAlreadyExistsError(TaskHubCallError):
    """An orchestration of that id is in the way of a start."""

    def __init__(self, details: str) -> None:
        super().__init__("ALREADY_EXISTS", details)


OrchestrationAlreadyExistsError.__module__ = "durabletask.client"
