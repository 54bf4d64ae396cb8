"""A caller that goes away while it is answered leaves no stack in the log; what else gRPC says stays."""

import asyncio
import logging

import pytest
from grpc._cython import cygrpc

from perdure.grpc_api.server import GrpcServer


async def _made() -> GrpcServer:
    return GrpcServer()


def test_only_their_lines_are_left_out(caplog: pytest.LogCaptureFixture) -> None:

    asyncio.run(_made())
    log = logging.getLogger(cygrpc.__name__)
    for error in (cygrpc.ExecuteBatchError("gone"), RuntimeError("broken")):
        try:
            raise error
        except Exception:
            log.exception("raised in core")
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["broken"]
