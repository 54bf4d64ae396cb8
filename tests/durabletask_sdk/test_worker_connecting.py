"""A worker that cannot connect says why, tries on where that helps, and can be stopped meanwhile."""

import asyncio
import gc
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerWorker
from durabletask.grpc_options import GrpcChannelOptions, GrpcWorkerResiliencyOptions
from durabletask.worker import TaskHubGrpcWorker
from support.host_process import wait_until
from support.server_thread import ServerThread

QUICK = GrpcWorkerResiliencyOptions(reconnect_backoff_base_seconds=0.01, reconnect_backoff_cap_seconds=0.02)


class Listener(logging.Handler):
    """Keeps what is told at warning and above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


class Token:
    """Good for a long time."""

    def __init__(self) -> None:
        self.token, self.expires_on = "t", int(time.time()) + 3600


class Credential:
    """Gives what ``get`` gives."""

    def __init__(self, get: Callable[[], Any]) -> None:
        self._get = get

    def get_token(self, *scopes: str, **options: Any) -> Any:
        return self._get()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    with ServerThread(tmp_path) as server:
        yield server


def echo(ctx: task.OrchestrationContext, n: int) -> int:
    return n


def worker_with(get: Callable[[], Any], address: str, listener: logging.Handler) -> DurableTaskSchedulerWorker:
    worker = DurableTaskSchedulerWorker(
        host_address=f"http://{address}",
        taskhub="default",
        token_credential=Credential(get),
        resiliency_options=QUICK,
        log_handler=listener,
    )
    worker.add_orchestrator(echo)
    return worker


def test_a_token_that_comes_late_is_told_once_and_waited_for(server: ServerThread) -> None:
    listener, asked = Listener(), 0

    def get() -> Token:
        nonlocal asked
        asked += 1
        if asked <= 3:
            raise OSError("the token service sleeps")
        return Token()

    worker = worker_with(get, server.address, listener)
    try:
        assert worker.start().wait(20)
        with server.client() as client:
            state = client.wait_for_orchestration_completion(client.schedule_new_orchestration(echo, input=4))
    finally:
        worker.stop()
    assert state is not None
    assert state.get_output() == 4
    assert listener.told == [
        "No work items come: no token can be had (OSError: the token service sleeps). Trying again until they do."
    ]


def test_what_keeps_a_worker_from_its_server_is_told_with_what_to_look_at(server: ServerThread) -> None:
    listener = Listener()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        told = _told_until(worker_with(Token, f"127.0.0.1:{nobody.getsockname()[1]}", listener), listener, count=3)
    assert all(line.startswith("No work items come: unavailable (") for line in told)
    assert [line.endswith("is named by CaFile=… in the connection string.") for line in told] == [True, False, False]
    listener = Listener()
    worker = DurableTaskSchedulerWorker(
        f"http://{server.address};TaskHub=nope", resiliency_options=QUICK, log_handler=listener
    )
    first, second, *_ = _told_until(worker, listener, count=2)
    assert second == "No work items come: not_found (Task hub not found: nope). Trying again."
    assert first == f"{second} A perdure server makes a task hub by: perdure hub create NAME."


def _told_until(worker: DurableTaskSchedulerWorker, listener: Listener, *, count: int) -> list[str]:
    start = worker.start()
    try:
        wait_until(lambda: len(listener.told) >= count, "so much is told")
    finally:
        worker.stop()
    assert not start.connected
    return listener.told[:count]


def test_a_credential_of_the_wrong_kind_is_told_to_whoever_waits_for_the_start(server: ServerThread) -> None:
    listener = Listener()

    async def get() -> Token:
        return Token()

    worker = worker_with(get, server.address, listener)
    try:
        with pytest.raises(TypeError, match="token_credential is one for async clients"):
            worker.start().wait(20)
    finally:
        worker.stop()
    assert len(listener.told) == 1


def test_an_address_that_is_none_is_told_to_whoever_waits_for_the_start() -> None:
    listener = Listener()
    worker = TaskHubGrpcWorker(host_address="ipv4:nonsense", log_handler=listener)
    try:
        with pytest.raises(ValueError, match="ipv4:nonsense"):
            worker.start().wait(20)
    finally:
        worker.stop()
    assert len(listener.told) == 1


def test_channel_options_that_mean_nothing_are_refused_by_the_start() -> None:
    worker = TaskHubGrpcWorker(
        host_address="localhost:1", channel_options=GrpcChannelOptions(raw_options=[("some.option", object())])
    )
    with pytest.raises(TypeError):
        worker.start()
    assert not worker.is_running


def test_a_stop_does_not_wait_for_a_server_that_says_nothing() -> None:
    with socket.create_server(("localhost", 0)) as silent:
        worker = TaskHubGrpcWorker(
            host_address=f"localhost:{silent.getsockname()[1]}", log_handler=logging.NullHandler()
        )
        worker.start()
        connection, _ = silent.accept()
        with connection:
            begun = time.monotonic()
            worker.stop()
            assert time.monotonic() - begun < 1


def test_a_stop_does_not_wait_for_a_token_that_does_not_come(server: ServerThread) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def get() -> Token:
        asked.set()
        go_on.wait(20)
        return Token()

    worker = worker_with(get, server.address, logging.NullHandler())
    start = worker.start()
    assert asked.wait(20)
    begun = time.monotonic()
    worker.stop()
    took = time.monotonic() - begun
    go_on.set()
    assert took < 1
    assert not start.connected


def test_a_program_that_is_stopped_while_it_waits_for_its_server_says_nothing_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main(address: str) -> None:
        worker = worker_with(Token, address, Listener())
        async with worker:
            async with asyncio.timeout(0.1):
                await worker.start()

    with socket.socket() as nobody, caplog.at_level(logging.ERROR, "asyncio"):
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(TimeoutError):
            asyncio.run(main(f"127.0.0.1:{nobody.getsockname()[1]}"))
        gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
