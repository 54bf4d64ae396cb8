"""gRPC, imported when it is first needed; an error that says what to install when it is not there."""

from types import ModuleType

MISSING = "A gRPC endpoint needs the packages grpcio and protobuf. Install them with: pip install 'perdure[grpc]'"


def require_grpc() -> ModuleType:
    """The module ``grpc``, with ``grpc.aio``. Raises ImportError naming the extra."""
    try:
        import google.protobuf  # noqa: F401 - the messages need it
        import grpc
        import grpc.aio
    except ImportError as error:
        raise ImportError(MISSING, name=error.name) from error
    return grpc
