"""What host and worker process say to each other: JSON texts, each after its length in four bytes."""

import json
import socket
from typing import Any, cast

import msgspec

from perdure.core.failures import FailureDetails
from perdure.core.registry import ActivityCall

Frame = dict[str, Any]
READY: Frame = {"ready": True}
_LENGTH_BYTES = 4


def write_frame(connection: socket.socket, frame: Frame) -> None:
    """Send one frame whole; one thread at a time. Raises OSError when the other side has gone."""
    # Plain ASCII, so that not even half a surrogate pair in a text is in the way.
    content = json.dumps(frame).encode("ascii")
    connection.sendall(len(content).to_bytes(_LENGTH_BYTES, "big") + content)


def read_frame(connection: socket.socket) -> Frame | None:
    """The next frame; None when the other side has gone."""
    head = _read(connection, _LENGTH_BYTES)
    content = None if head is None else _read(connection, int.from_bytes(head, "big"))
    return None if content is None else cast(Frame, json.loads(content))


def call_frame(number: int, call: ActivityCall) -> Frame:
    """Ask for one run of an activity."""
    return {"number": number, "call": msgspec.structs.astuple(call)}


def call_of(frame: Frame) -> ActivityCall:
    """What ``call_frame`` asked for."""
    return ActivityCall(*frame["call"])


def failure_frame(number: int, failure: FailureDetails) -> Frame:
    """Say that a run failed."""
    return {"number": number, "failure": msgspec.to_builtins(failure)}


def failure_in(frame: Frame) -> FailureDetails | None:
    """The failure that an answer tells of."""
    return msgspec.convert(frame["failure"], FailureDetails) if "failure" in frame else None


def _read(connection: socket.socket, count: int) -> bytes | None:
    chunks: list[bytes] = []
    while count:
        try:
            chunk = connection.recv(min(count, 1 << 20))
        except ConnectionError:
            return None
        if not chunk:
            return None
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)
