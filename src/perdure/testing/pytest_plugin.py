"""What perdure adds to pytest: fixtures for portable programs, and the ini setting ``perdure_sdk``.

Loaded by every pytest of the environment, so it imports nothing that a test does not ask for.
"""

from collections.abc import Iterator
from typing import Any

import pytest

SDKS = ("ours", "installed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting; without it nothing changes."""
    parser.addini(
        "perdure_sdk",
        "Whose azure.durable_functions and durabletask the tests import: 'ours' (perdure's, also where the official "
        "packages are installed) or 'installed' (whichever Python finds first; the default).",
        default="installed",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Choose before any conftest.py, and so before any code under test, is imported."""
    chosen = early_config.getini("perdure_sdk")
    if chosen not in SDKS:
        raise pytest.UsageError(f"perdure_sdk is 'ours' or 'installed', not '{chosen}'.")
    if chosen == "ours":
        from perdure.sdks import prefer_ours

        prefer_ours()


@pytest.fixture
def durabletask_backend() -> Iterator[Any]:
    """A ``durabletask.testing.InMemoryOrchestrationBackend`` on a free port, empty, that ends with the test."""
    from durabletask.testing import create_test_backend

    backend = create_test_backend(port=0)
    yield backend
    backend.stop()


@pytest.fixture
def durabletask_worker(durabletask_backend: Any) -> Iterator[Any]:
    """A ``TaskHubGrpcWorker`` of that backend: register functions, then ``start()``; it stops with the test."""
    from durabletask.worker import TaskHubGrpcWorker

    worker = TaskHubGrpcWorker(host_address=durabletask_backend.address)
    yield worker
    worker.stop()
