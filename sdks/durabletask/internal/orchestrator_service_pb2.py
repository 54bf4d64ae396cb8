"""The protocol's messages under the name that programs know them by. Raises ImportError without gRPC's extra."""

from typing import TYPE_CHECKING, Any

from durabletask.grpc_extra import require_grpc

require_grpc()

from perdure.formats.protobuf import messages as _messages  # noqa: E402 - the error above says what is missing

if TYPE_CHECKING:
    from perdure.formats.protobuf.messages import *  # noqa: F403


def __getattr__(name: str) -> Any:
    try:
        return getattr(_messages, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for name in vars(_messages) if not name.startswith("_"))})
