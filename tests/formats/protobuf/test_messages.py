"""The message classes: complete, private, and true to their source."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import perdure.formats.protobuf
from perdure.formats.protobuf import backend_messages, backend_service
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS, Rpc

HOME = Path(perdure.formats.protobuf.__file__).parent


@pytest.mark.parametrize(
    ("proto", "stub"), [("orchestrator_service", "messages"), ("backend_service", "backend_messages")]
)
def test_stub_and_descriptor_were_made_from_the_proto(proto: str, stub: str) -> None:
    digest = hashlib.sha256((HOME / f"{proto}.proto").read_bytes()).hexdigest()
    assert digest in (HOME / f"{stub}.pyi").read_text(), "run `make protobuf`"


@pytest.mark.parametrize(
    ("message", "service", "rpcs"),
    [
        (pb.WorkItem, "TaskHubSidecarService", RPCS),
        (backend_messages.BackendMetrics, "BackendService", backend_service.RPCS),
    ],
)
def test_every_call_of_the_service_is_in_the_table(message: Any, service: str, rpcs: dict[str, Rpc]) -> None:
    found = message.DESCRIPTOR.file.services_by_name[service]
    assert {m.name: (m.input_type.name, m.output_type.name, m.server_streaming) for m in found.methods} == {
        rpc.name: (rpc.request.DESCRIPTOR.name, rpc.answer.DESCRIPTOR.name, rpc.answers_stream) for rpc in rpcs.values()
    }
    assert {rpc.path for rpc in rpcs.values()} == {f"/{found.full_name}/{m.name}" for m in found.methods}


def test_enum_values_and_well_known_types() -> None:
    assert pb.OrchestrationStatus.Name(pb.ORCHESTRATION_STATUS_FAILED) == "ORCHESTRATION_STATUS_FAILED"
    assert pb.OrchestrationStatus.Value("ORCHESTRATION_STATUS_PENDING") == 6
    with pytest.raises(ValueError, match="no value 99"):
        pb.OrchestrationStatus.Name(99)
    event = pb.HistoryEvent(timestamp=pb.Timestamp(seconds=1))
    assert event.timestamp.ToMicroseconds() == 1_000_000
    assert not pb.CreateInstanceRequest(instanceId="x").HasField("input")


def test_another_copy_of_the_messages_may_be_in_the_default_pool() -> None:
    code = f"""
from pathlib import Path
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from perdure.formats.protobuf import messages as pb
import google.protobuf.struct_pb2
text = Path({str(HOME)!r}, "generated/orchestrator_service.binpb").read_bytes()
other = descriptor_pb2.FileDescriptorProto.FromString(text)
[item] = [m for m in other.message_type if m.name == "HealthPing"]
item.field.add(name="more", number=1, type=9, label=1)
other.name = "elsewhere/service.proto"
descriptor_pool.Default().AddSerializedFile(other.SerializeToString())
ping = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName("WorkItem"))
assert ping is not pb.WorkItem
sent = pb.WorkItem(completionToken="t", healthPing=pb.HealthPing())
assert ping.FromString(sent.SerializeToString()).completionToken == "t"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
