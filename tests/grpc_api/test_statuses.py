"""Errors as statuses; page tokens; what a caller is not told."""

from datetime import UTC, datetime

import grpc
import pytest
from google.protobuf.message import DecodeError

from perdure.client import (
    EndedKey,
    HistoryCorrupted,
    InstanceExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    InstanceRunning,
    InvalidIdentifier,
    InvalidInput,
    Overloaded,
    PageKey,
    PayloadTooLarge,
    StoreFull,
    Unavailable,
)
from perdure.contracts.errors import LeaseLost, StoreFailed
from perdure.grpc_api.codes import Code as OurCode
from perdure.grpc_api.page_tokens import read_ended_token, read_page_token, write_ended_token, write_page_token
from perdure.grpc_api.statuses import TEXT_BYTES_MAX, Refused, Stopping, status_of
from support.scheduler_server import code_of, run, scheduler

Code = grpc.StatusCode
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("bad"), Code.INVALID_ARGUMENT),
        (PayloadTooLarge("large"), Code.INVALID_ARGUMENT),
        (InvalidIdentifier("id"), Code.INVALID_ARGUMENT),
        (ValueError("time"), Code.INVALID_ARGUMENT),
        (DecodeError("inside"), Code.INVALID_ARGUMENT),
        (InstanceNotFound("none"), Code.NOT_FOUND),
        (InstanceExists("taken"), Code.ALREADY_EXISTS),
        (InstanceRunning("runs"), Code.FAILED_PRECONDITION),
        (InstanceNotFailed("runs"), Code.FAILED_PRECONDITION),
        (InstanceFinished("over"), Code.FAILED_PRECONDITION),
        (Overloaded("busy"), Code.RESOURCE_EXHAUSTED),
        (StoreFull("full"), Code.RESOURCE_EXHAUSTED),
        (Unavailable("later"), Code.UNAVAILABLE),
        (Stopping(), Code.UNAVAILABLE),
        # Whether it was written is not known: no client may send it again by itself.
        (StoreFailed("sync failed"), Code.INTERNAL),
        (LeaseLost("gone"), Code.INTERNAL),
        (HistoryCorrupted("x", "gap"), Code.FAILED_PRECONDITION),
        (KeyError("secret"), Code.INTERNAL),
        (Refused(OurCode.ABORTED, "no"), Code.ABORTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_error_has_its_status(error: Exception, code: grpc.StatusCode) -> None:
    found, text = status_of(error, "StartInstance")
    assert found.name == code.name
    assert text
    assert "secret" not in text
    assert "inside" not in text


def test_a_status_fits_into_its_header() -> None:
    assert len(status_of(InvalidInput("x" * 100_000), "StartInstance")[1]) == TEXT_BYTES_MAX


def test_a_long_and_odd_name_comes_back_in_a_status() -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            code, details = await code_of(server.client.RaiseEvent(instanceId="é☃" * 5_000, name="go"))
            assert code is Code.NOT_FOUND
            assert "é☃" in details

    run(scenario)


@pytest.mark.parametrize("instance_id", ["x", "a|b|c", "0", "é☃", "x" * 256])
def test_page_tokens_come_back(instance_id: str) -> None:
    assert read_page_token(write_page_token(PageKey(AT, instance_id))) == PageKey(AT, instance_id)
    assert read_ended_token(write_ended_token(EndedKey(AT, instance_id))) == EndedKey(AT, instance_id)


def test_a_token_is_of_one_list_only() -> None:
    with pytest.raises(InvalidInput):
        read_page_token(write_ended_token(EndedKey(AT, "x")))
    with pytest.raises(InvalidInput):
        read_ended_token(write_page_token(PageKey(AT, "x")))


@pytest.mark.parametrize("token", ["0", "!", "YQ", "Y3wxfHg=", "x" * 20_000, "Y3w5OTk5OTk5OTk5OTk5OTk5OTk5OTk5fHg"])
def test_forged_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidInput, match="token"):
        read_page_token(token)
