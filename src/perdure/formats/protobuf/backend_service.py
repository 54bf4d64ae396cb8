"""The calls of ``BackendService`` that are answered here; every other one of its many is not implemented."""

from perdure.formats.protobuf import backend_messages as pb
from perdure.formats.protobuf.service import Rpc

SERVICE = "durabletask.protos.backend.v1.BackendService"

RPCS: dict[str, Rpc] = {
    rpc.name: rpc
    for rpc in (
        Rpc("GetMetrics", pb.GetMetricsRequest, pb.GetMetricsResponse, service=SERVICE),
        Rpc("BeginWorkerDrain", pb.BeginWorkerDrainRequest, pb.BeginWorkerDrainResponse, service=SERVICE),
    )
}
