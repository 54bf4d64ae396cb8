"""Names of the official package's inner modules that programs use."""

import importlib
import logging
from typing import Any

import grpc
import grpc.aio
import pytest

from durabletask.azuremanaged import (
    AsyncDurableTaskSchedulerClient,
    DurableTaskSchedulerClient,
    DurableTaskSchedulerWorker,
)
from durabletask.context import JsonEncodeOutputException
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import shared
from durabletask.worker import TaskHubGrpcWorker
from perdure.formats.protobuf import messages


def test_messages_are_those_of_the_private_pool() -> None:
    assert pb.OrchestrationIdReusePolicy is messages.OrchestrationIdReusePolicy
    assert pb.ORCHESTRATION_STATUS_FAILED == 3
    assert pb.OrchestrationStatus.Name(3) == "ORCHESTRATION_STATUS_FAILED"
    assert "GetInstanceRequest" in dir(pb)
    with pytest.raises(AttributeError, match="NoSuchMessage"):
        pb.NoSuchMessage  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_addresses_and_protocols() -> None:
    assert shared.get_default_host_address() == "localhost:4001"
    assert (shared.SECURE_PROTOCOLS, shared.INSECURE_PROTOCOLS) == (["https://", "grpcs://"], ["http://", "grpc://"])


def test_interceptor_types() -> None:
    assert grpc.UnaryStreamClientInterceptor in shared.ClientInterceptor.__args__  # pyright: ignore[reportAttributeAccessIssue]
    assert grpc.aio.UnaryUnaryClientInterceptor in shared.AsyncClientInterceptor.__args__  # pyright: ignore[reportAttributeAccessIssue]


def test_channels() -> None:
    with shared.get_grpc_channel("https://localhost:1") as channel:
        assert isinstance(channel, grpc.Channel)


def test_loggers_write_from_info_on_by_a_handler_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    logger = shared.get_logger("client", log_formatter=logging.Formatter("%(name)s|%(message)s"))
    logger.debug("quiet")
    logger.info("said")
    assert capsys.readouterr().err == "durabletask-client|said\n"
    own = logging.getLogger("mine")
    assert shared.get_logger("x", logger=own) is own
    with pytest.raises(ValueError, match="cannot be combined"):
        shared.get_logger("x", logging.NullHandler(), logger=own)


@pytest.mark.parametrize(
    ("package", "module"),
    [
        *(
            ("entities", name)
            for name in (
                "durable_entity",
                "entity_context",
                "entity_instance_id",
                "entity_lock",
                "entity_metadata",
                "entity_operation_failed_exception",
            )
        ),
        *(("scheduled", name) for name in ("exceptions", "models", "schedule_status")),
    ],
)
def test_names_are_the_same_by_the_official_modules(package: str, module: str) -> None:
    whole = importlib.import_module(f"durabletask.{package}")
    part = importlib.import_module(f"durabletask.{package}.{module}")
    names = [name for name in whole.__all__ if name in vars(part)]
    assert names
    assert all(getattr(part, name) is getattr(whole, name) for name in names)


def test_the_error_of_an_output_is_where_failures_say() -> None:
    module = importlib.import_module(JsonEncodeOutputException.__module__)
    assert module.JsonEncodeOutputException is JsonEncodeOutputException


def test_clients_and_workers_write_to_a_logger_that_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    own = logging.getLogger("mine")
    place = "Endpoint=embedded://;TaskHub=h"
    makers: list[Any] = [DurableTaskSchedulerClient, DurableTaskSchedulerWorker, AsyncDurableTaskSchedulerClient]
    for make in makers:
        with pytest.raises(ValueError, match="cannot be combined"):
            make(place, logger=own, log_handler=logging.NullHandler())
    with pytest.raises(ValueError, match="cannot be combined"):
        TaskHubGrpcWorker(logger=own, log_formatter=logging.Formatter())
    assert TaskHubGrpcWorker(logger=own)._logger is own  # pyright: ignore[reportPrivateUsage]
    assert capsys.readouterr().err == ""


def test_old_json_functions_work_and_say_what_to_use() -> None:
    with pytest.deprecated_call():
        assert shared.to_json({"a": 1}) == '{"a": 1}'
    with pytest.deprecated_call():
        assert shared.from_json(b"[1]") == [1]
