"""Answers to turns that come in parts, since workers may not send more than 4 MiB at once (grpc.md §6.2)."""

from perdure.execution.remote_leases import Lease
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.actions import merged


class PartsOutOfOrder(ValueError):
    """A part is missing, or all parts together are too large."""


def joined_answer(
    lease: Lease, answer: pb.OrchestratorResponse, encoded: bytes, bytes_max: int
) -> pb.OrchestratorResponse | None:
    """The whole answer; None while parts are missing. The parts are kept with the lease and go with it.

    A first part begins anew, and one that is sent again replaces itself. Raises PartsOutOfOrder.
    """
    index = answer.chunkIndex.value if answer.HasField("chunkIndex") else 0
    if index == 0 and not answer.isPartial:
        lease.parts.clear()
        return answer
    if not 0 <= index <= len(lease.parts):
        raise PartsOutOfOrder(f"Part {index} of the answer came where part {len(lease.parts)} was to come.")
    # What came after a part that is sent again is sent again, too.
    del lease.parts[index:]
    lease.parts.append(encoded)
    if sum(map(len, lease.parts)) > bytes_max:
        raise PartsOutOfOrder(f"The parts of the answer have more than {bytes_max} bytes together.")
    if answer.isPartial:
        return None
    parts = [pb.OrchestratorResponse.FromString(part) for part in lease.parts]
    lease.parts.clear()
    return merged(parts)
