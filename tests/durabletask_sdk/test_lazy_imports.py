"""What an import brings along: gRPC and protobuf only when an endpoint needs them, and a clear word without them."""

import subprocess
import sys

import pytest

import durabletask

WITHOUT_GRPC = """
import sys
class Missing:
    def find_spec(self, name, path, target=None):
        if name.split('.')[0] in ('grpc', 'google'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Missing())
"""


def run(program: str) -> str:
    """What a program prints in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_else() -> None:
    program = (
        "import sys; before = set(sys.modules); import durabletask; brought = set(sys.modules) - before\n"
        "print([name for name in brought if name.partition('.')[0] not in sys.stdlib_module_names])"
    )
    assert run(program) == "['durabletask']"


def test_the_public_modules_import_neither_grpc_nor_protobuf() -> None:
    program = (
        "import sys, durabletask.task, durabletask.client, durabletask.worker, durabletask.entities\n"
        "import durabletask.scheduled, durabletask.history, durabletask.grpc_options, durabletask.internal.shared\n"
        "from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker\n"
        "from durabletask import VersioningOptions, GrpcChannelOptions\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('grpc', 'google', 'opentelemetry')])"
    )
    assert run(program) == "[]"


def test_an_embedded_hub_works_without_grpc_and_protobuf() -> None:
    program = WITHOUT_GRPC + (
        "from durabletask import task\n"
        "from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker\n"
        "from durabletask.client import OrchestrationAlreadyExistsError\n"
        "def hello(ctx, name): return f'Hello {name}'\n"
        "with DurableTaskSchedulerWorker('Endpoint=embedded://') as worker:\n"
        "    worker.add_orchestrator(hello)\n"
        "    worker.start().wait(10)\n"
        "    client = DurableTaskSchedulerClient('Endpoint=embedded://', mode='sync')\n"
        "    i = client.schedule_new_orchestration(hello, input='you')\n"
        "    print(client.wait_for_orchestration_completion(i).result, len(client.get_orchestration_history(i)))\n"
        "    try: client.schedule_new_orchestration(hello, instance_id=i)\n"
        "    except OrchestrationAlreadyExistsError as error: print(error.code(), i in error.details())\n"
    )
    assert run(program) == "Hello you 4\nALREADY_EXISTS True"


NEEDS_GRPC = [
    "durabletask.client.TaskHubGrpcClient()",
    "durabletask.client.AsyncTaskHubGrpcClient()",
    "durabletask.azuremanaged.DurableTaskSchedulerClient('Endpoint=http://localhost:8080')",
    "importlib.import_module('durabletask.internal.orchestrator_service_pb2')",
    "durabletask.internal.shared.get_grpc_channel(None)",
]


def test_a_grpc_endpoint_without_grpc_says_what_to_install() -> None:
    program = WITHOUT_GRPC + (
        "import importlib, durabletask.client, durabletask.azuremanaged, durabletask.internal.shared\n"
        f"for needs in {NEEDS_GRPC!r}:\n"
        "    try: eval(needs)\n"
        "    except ImportError as error: print(error)"
    )
    said = run(program).splitlines()
    assert len(said) == len(NEEDS_GRPC)
    assert all(line.endswith("pip install 'perdure[grpc]'") for line in said)


def test_names_and_submodules_are_found_when_they_are_asked_for() -> None:
    assert durabletask.PACKAGE_NAME == "durabletask"
    assert durabletask.ConcurrencyOptions is durabletask.worker.ConcurrencyOptions
    assert durabletask.GrpcRetryPolicyOptions is durabletask.grpc_options.GrpcRetryPolicyOptions
    assert durabletask.ExceptionPropertiesProvider is durabletask.exception_properties.ExceptionPropertiesProvider
    assert set(durabletask.__all__) <= set(dir(durabletask))
    with pytest.raises(AttributeError, match="'nothing'"):
        durabletask.nothing  # noqa: B018
