"""The service's calls by name: what each takes and gives, and whether it gives a stream."""

from dataclasses import dataclass

from google.protobuf.message import Message

from perdure.formats.protobuf import messages as pb

SERVICE = "TaskHubSidecarService"


@dataclass(frozen=True, slots=True)
class Rpc:
    """One call. ``answers_stream``: it gives any number of ``answer``."""

    name: str
    request: type[Message]
    answer: type[Message]
    answers_stream: bool = False
    service: str = SERVICE

    @property
    def path(self) -> str:
        """The full method path on the wire."""
        return f"/{self.service}/{self.name}"


RPCS: dict[str, Rpc] = {
    rpc.name: rpc
    for rpc in (
        Rpc("Hello", pb.Empty, pb.Empty),
        Rpc("StartInstance", pb.CreateInstanceRequest, pb.CreateInstanceResponse),
        Rpc("GetInstance", pb.GetInstanceRequest, pb.GetInstanceResponse),
        Rpc("RewindInstance", pb.RewindInstanceRequest, pb.RewindInstanceResponse),
        Rpc("RestartInstance", pb.RestartInstanceRequest, pb.RestartInstanceResponse),
        Rpc("WaitForInstanceStart", pb.GetInstanceRequest, pb.GetInstanceResponse),
        Rpc("WaitForInstanceCompletion", pb.GetInstanceRequest, pb.GetInstanceResponse),
        Rpc("RaiseEvent", pb.RaiseEventRequest, pb.RaiseEventResponse),
        Rpc("TerminateInstance", pb.TerminateRequest, pb.TerminateResponse),
        Rpc("SuspendInstance", pb.SuspendRequest, pb.SuspendResponse),
        Rpc("ResumeInstance", pb.ResumeRequest, pb.ResumeResponse),
        Rpc("QueryInstances", pb.QueryInstancesRequest, pb.QueryInstancesResponse),
        Rpc("ListInstanceIds", pb.ListInstanceIdsRequest, pb.ListInstanceIdsResponse),
        Rpc("PurgeInstances", pb.PurgeInstancesRequest, pb.PurgeInstancesResponse),
        Rpc("GetWorkItems", pb.GetWorkItemsRequest, pb.WorkItem, answers_stream=True),
        Rpc("CompleteActivityTask", pb.ActivityResponse, pb.CompleteTaskResponse),
        Rpc("CompleteOrchestratorTask", pb.OrchestratorResponse, pb.CompleteTaskResponse),
        Rpc("CompleteEntityTask", pb.EntityBatchResult, pb.CompleteTaskResponse),
        Rpc("StreamInstanceHistory", pb.StreamInstanceHistoryRequest, pb.HistoryChunk, answers_stream=True),
        Rpc("CreateTaskHub", pb.CreateTaskHubRequest, pb.CreateTaskHubResponse),
        Rpc("DeleteTaskHub", pb.DeleteTaskHubRequest, pb.DeleteTaskHubResponse),
        Rpc("SignalEntity", pb.SignalEntityRequest, pb.SignalEntityResponse),
        Rpc("GetEntity", pb.GetEntityRequest, pb.GetEntityResponse),
        Rpc("QueryEntities", pb.QueryEntitiesRequest, pb.QueryEntitiesResponse),
        Rpc("CleanEntityStorage", pb.CleanEntityStorageRequest, pb.CleanEntityStorageResponse),
        Rpc("AbandonTaskActivityWorkItem", pb.AbandonActivityTaskRequest, pb.AbandonActivityTaskResponse),
        Rpc("AbandonTaskOrchestratorWorkItem", pb.AbandonOrchestrationTaskRequest, pb.AbandonOrchestrationTaskResponse),
        Rpc("AbandonTaskEntityWorkItem", pb.AbandonEntityTaskRequest, pb.AbandonEntityTaskResponse),
        Rpc(
            "SkipGracefulOrchestrationTerminations",
            pb.SkipGracefulOrchestrationTerminationsRequest,
            pb.SkipGracefulOrchestrationTerminationsResponse,
        ),
    )
}
