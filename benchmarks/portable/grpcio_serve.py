"""``grpcio_serve serve …``: ``perdure`` with grpcio's server in the place of ours. For measurements only."""

from benchmarks.portable.grpcio_server import GrpcioServer
from perdure.cli.main import main
from perdure.host import serving

if __name__ == "__main__":
    serving.GrpcServer = GrpcioServer  # type: ignore[misc]
    main()
