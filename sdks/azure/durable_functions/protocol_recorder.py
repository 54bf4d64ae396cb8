"""ProtocolRecorder: what a context sits on while another host runs the function and hands over its whole past."""

import dataclasses

from azure.durable_functions.replay_policy import POLICY
from perdure.core.replay.policy import ReplayPolicy, RetryIds
from perdure.core.replay.protocol_retries import MirroredRetryTask
from perdure.core.replay.task_types import CORE_TASKS, TaskTypes
from perdure.core.replay.transcript import LongTimerFromCreation, Transcript
from perdure.formats.azure_json.contexts import OrchestratorContext, read_context


class ProtocolRecorder(Transcript):
    """A transcript that knows the call it answers."""

    __slots__ = ("call",)

    def __init__(self, call: OrchestratorContext, policy: ReplayPolicy, tasks: TaskTypes = CORE_TASKS) -> None:
        policy = dataclasses.replace(
            policy,
            # The host counts so, whatever the family of the code.
            first_task_id=0,
            retry_ids=RetryIds.NEW,
            longest_timer=call.longest_timer,
            timer_hop=call.timer_hop,
        )
        tasks = dataclasses.replace(tasks, retry=MirroredRetryTask, long_timer=LongTimerFromCreation)
        super().__init__(call.instance_id, policy, tasks)
        self.call = call


def idle_recorder(text: str) -> ProtocolRecorder:
    """A recorder at the beginning of the past that a host's JSON text shows; nothing drives it. Raises ValueError."""
    call = read_context(text)
    recorder = ProtocolRecorder(call, POLICY)
    recorder.is_replaying = call.is_replaying
    recorder.parent_instance_id = call.parent_instance_id
    if (started := call.started()) is not None:
        recorder.begin(started)
    if (began_at := call.began_at()) is not None:
        recorder.now = began_at
    return recorder
