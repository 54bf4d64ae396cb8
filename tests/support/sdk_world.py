"""The tiny world of ``replay_world`` around an orchestrator of the durable functions SDK."""

from collections.abc import Callable
from typing import Any

from azure.durable_functions import Orchestrator
from perdure.core.replay.replayer import Replayer
from support.replay_world import World

BINDING = {
    "taskHubName": "TestHubName",
    "creationUrls": {"createNewInstancePostUri": "http://localhost:7071/x/orchestrators/{functionName}[/{instanceId}]"},
    "managementUrls": {
        "id": "INSTANCEID",
        "statusQueryGetUri": "http://localhost:7071/x/instances/INSTANCEID?taskHub=TestHubName&code=k",
        "sendEventPostUri": "http://localhost:7071/x/instances/INSTANCEID/raiseEvent/{eventName}?code=k",
        "terminatePostUri": "http://localhost:7071/x/instances/INSTANCEID/terminate?reason={text}&code=k",
    },
    "rpcBaseUrl": "http://127.0.0.1:17071/durabletask/",
    "somethingNew": 1,
}
"""What a host puts into a durable client binding; without a client of this process."""


class SdkWorld(World):
    """One execution of an orchestrator as ``Orchestrator.create`` defines it."""

    def __init__(
        self, function: Callable[..., Any], input_type: type | None = None, instance_id: str = "order-1"
    ) -> None:
        super().__init__(lambda recorder: None)
        handle = Orchestrator.create(function)
        handle.declare_input(input_type)
        self.definition = handle.definition("orchestrator")
        self.replayer = Replayer(self.definition, instance_id)
