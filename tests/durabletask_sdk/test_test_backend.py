"""``durabletask.testing``: the backend that programs are tested with, and its fixtures."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.grpc_options import GrpcChannelOptions
from durabletask.testing import InMemoryOrchestrationBackend, create_test_backend
from durabletask.worker import TaskHubGrpcWorker

OWN_CONNECTION = GrpcChannelOptions(raw_options=[("grpc.use_local_subchannel_pool", 1)])


@pytest.fixture
def backend() -> Iterator[InMemoryOrchestrationBackend]:
    backend = create_test_backend(port=0, max_history_size=200)
    yield backend
    backend.stop()


@pytest.fixture
def worker(backend: InMemoryOrchestrationBackend) -> Iterator[TaskHubGrpcWorker]:
    worker = TaskHubGrpcWorker(host_address=backend.address, channel_options=OWN_CONNECTION)
    yield worker
    worker.stop()


@pytest.fixture
def client(backend: InMemoryOrchestrationBackend) -> Iterator[TaskHubGrpcClient]:
    with TaskHubGrpcClient(
        host_address=backend.address, channel_options=OWN_CONNECTION, log_handler=logging.NullHandler()
    ) as client:
        yield client


def sleeps(ctx: task.OrchestrationContext, hours: int) -> Any:
    begun = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(hours=hours))
    return (ctx.current_utc_datetime - begun).total_seconds()


def echo(ctx: task.OrchestrationContext, value: Any) -> Any:
    return value


def counter(ctx: EntityContext, value: int) -> int:
    ctx.set_state(ctx.get_state(int, 0) + value)
    return ctx.get_state(int, 0)


def endless(ctx: task.OrchestrationContext, n: int) -> Any:
    for _ in range(n):
        yield ctx.create_timer(timedelta(0))


def test_timers_fire_when_the_time_is_set_forward(
    backend: InMemoryOrchestrationBackend, worker: TaskHubGrpcWorker, client: TaskHubGrpcClient
) -> None:
    worker.add_orchestrator(sleeps)
    worker.start()
    instance_id = client.schedule_new_orchestration(sleeps, input=48)
    state = client.wait_for_orchestration_start(instance_id, timeout=20)
    assert state is not None
    backend.advance_time(timedelta(hours=47))
    with pytest.raises(TimeoutError):
        client.wait_for_orchestration_completion(instance_id, timeout=0.3)
    backend.advance_time(timedelta(hours=1))
    state = client.wait_for_orchestration_completion(instance_id, timeout=20)
    assert state is not None
    assert 48 * 3600 <= state.get_output() < 48 * 3600 + 60
    with pytest.raises(ValueError, match="only goes forward"):
        backend.advance_time(timedelta(seconds=-1))


def test_what_begins_later_begins_when_the_time_is_set_forward(
    backend: InMemoryOrchestrationBackend, worker: TaskHubGrpcWorker, client: TaskHubGrpcClient
) -> None:
    worker.add_orchestrator(echo)
    worker.add_entity(counter)
    worker.start().wait(20)
    later = datetime.now() + timedelta(days=400)
    instance_id = client.schedule_new_orchestration(echo, input=1, start_at=later)
    place = EntityInstanceId("counter", "a")
    client.signal_entity(place, "add", 5, later)
    backend.advance_time(timedelta(days=402))
    state = client.wait_for_orchestration_completion(instance_id, timeout=20)
    assert state is not None
    assert state.get_output() == 1
    deadline = time.monotonic() + 20
    while (entity := client.get_entity(place)) is None or entity.get_typed_state(int) != 5:
        assert time.monotonic() < deadline


def test_a_reset_forgets_and_workers_go_on(
    backend: InMemoryOrchestrationBackend, worker: TaskHubGrpcWorker, client: TaskHubGrpcClient
) -> None:
    worker.add_orchestrator(echo)
    worker.start()
    for n in range(2):
        client.schedule_new_orchestration(echo, input=n, instance_id="same")
        state = client.wait_for_orchestration_completion("same", timeout=20)
        assert state is not None
        assert state.get_output() == n
        backend.reset()
        assert client.get_orchestration_state("same") is None


def test_a_history_that_grows_too_large_is_a_failure(
    backend: InMemoryOrchestrationBackend, worker: TaskHubGrpcWorker, client: TaskHubGrpcClient
) -> None:
    worker.add_orchestrator(endless)
    worker.start()
    state = client.wait_for_orchestration_completion(client.schedule_new_orchestration(endless, input=99), timeout=20)
    assert state is not None
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert state.failure_details is not None
    assert "200" in state.failure_details.message


def test_any_task_hub_is_there_and_is_its_own(backend: InMemoryOrchestrationBackend) -> None:
    texts = [f"Endpoint=http://{backend.address};TaskHub={hub};Authentication=None" for hub in ("one", "two")]
    first, second = (DurableTaskSchedulerClient(text, mode="sync", log_handler=logging.NullHandler()) for text in texts)
    with first, second:
        first.schedule_new_orchestration("any", instance_id="i")
        assert first.get_orchestration_state("i") is not None
        assert second.get_orchestration_state("i") is None


def test_it_starts_empty_again_and_tells_its_address() -> None:
    backend = InMemoryOrchestrationBackend(port=0)
    with pytest.raises(RuntimeError, match="no address before it is started"):
        backend.address  # noqa: B018
    backend.stop()
    with backend:
        address = backend.address
        assert address.startswith("localhost:")
        with pytest.raises(RuntimeError, match="already running"):
            backend.start()
        with TaskHubGrpcClient(host_address=address, log_handler=logging.NullHandler()) as client:
            client.schedule_new_orchestration("any", instance_id="i")
    assert backend.start() == backend.address
    with TaskHubGrpcClient(
        host_address=backend.address, channel_options=OWN_CONNECTION, log_handler=logging.NullHandler()
    ) as client:
        assert client.get_orchestration_state("i") is None
    backend.stop()
    backend.stop()


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        backend = InMemoryOrchestrationBackend(port=port)
        assert backend.address == f"localhost:{port}"
        with pytest.raises(OSError, match=f"port {port}. Choose another one, or 0"):
            backend.start()
        backend.stop()
    with pytest.raises(ValueError, match="max_history_size"):
        InMemoryOrchestrationBackend(max_history_size=0)


PROGRAM = """
import logging
from datetime import timedelta
from durabletask.client import TaskHubGrpcClient

def sleeps(ctx, _):
    yield ctx.create_timer(timedelta(hours=1))
    return "slept"

def test_a_program(durabletask_backend, durabletask_worker):
    durabletask_worker.add_orchestrator(sleeps)
    durabletask_worker.start()
    with TaskHubGrpcClient(host_address=durabletask_backend.address, log_handler=logging.NullHandler()) as client:
        instance_id = client.schedule_new_orchestration(sleeps)
        client.wait_for_orchestration_start(instance_id, timeout=20)
        durabletask_backend.advance_time(timedelta(hours=1))
        assert client.wait_for_orchestration_completion(instance_id, timeout=20).get_output() == "slept"
"""


PLUGIN = "perdure.testing.pytest_plugin"
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Without the plugins of all that is installed here, which take seconds to import."""


def run_pytest(folder: Path, ini: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", PLUGIN]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **ALONE}
    )


def test_the_fixtures_are_there_for_users_tests(tmp_path: Path) -> None:
    (tmp_path / "test_program.py").write_text(PROGRAM)
    assert entry_points(group="pytest11")["perdure"].value == PLUGIN
    done = run_pytest(tmp_path, "filterwarnings = error")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_plugin_imports_nothing_that_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    brought = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert not brought & {'grpc', 'google', 'durabletask', 'msgspec'}\n"
        "    assert [n for n in sys.modules if n.startswith('perdure.')] == ['perdure.testing', "
        "'perdure.testing.pytest_plugin']\n"
    )
    done = run_pytest(tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("ini", "owner"), [("", "theirs"), ("perdure_sdk = ours", "durabletask")])
def test_the_setting_chooses_whose_sdk_is_imported(tmp_path: Path, ini: str, owner: str) -> None:
    (tmp_path / "durabletask").mkdir()
    (tmp_path / "durabletask" / "__init__.py").write_text("PACKAGE_NAME = 'theirs'\n")
    (tmp_path / "conftest.py").write_text("import durabletask\n")
    (tmp_path / "test_it.py").write_text(
        f"import durabletask\ndef test_it():\n    assert durabletask.PACKAGE_NAME == {owner!r}\n"
    )
    done = run_pytest(tmp_path, ini)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_wrong_setting_is_told(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "perdure_sdk = mine")
    assert "perdure_sdk is 'ours' or 'installed', not 'mine'" in done.stdout + done.stderr
