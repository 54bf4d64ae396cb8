"""perdure and the official package in one environment, installed in every order and removed again, with real pip.

Whatever the order: both stay whole, plain imports give the official package where it is installed and ours where
it is not, and ``perdure start`` runs the app on ours (docs/decisions/0005-sdk-folder.md).
"""

import shutil
from pathlib import Path

import pytest

from support.host_process import REPOSITORY, HostProcess
from support.pip_environment import PipEnvironment

OFFICIAL = "azure-functions-durable"
NEIGHBOURS = ("azure-identity", "azure-storage-blob")
WHERE = "import azure.durable_functions as df; df.DFApp, df.Blueprint; print(df.__file__)"

PORTABLE = """
import sys
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker
def hello(ctx, name): return f'Hello {name}'
with DurableTaskSchedulerWorker('Endpoint=embedded://') as worker, \\
        DurableTaskSchedulerClient('Endpoint=embedded://', mode='sync') as client:
    worker.add_orchestrator(hello)
    worker.start()
    print(client.wait_for_orchestration_completion(client.schedule_new_orchestration(hello, input='you')).result)
print('grpc' in sys.modules)
"""
"""A portable program over the engine in its own process."""


@pytest.fixture
def environment(tmp_path: Path, wheelhouse: Path) -> PipEnvironment:
    return PipEnvironment(tmp_path / "environment", wheelhouse)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the quickstart."""
    return Path(shutil.copytree(REPOSITORY / "samples" / "hello_cities", tmp_path / "hello_cities"))


def assert_ours_serves(environment: PipEnvironment, app: Path, beside: bool) -> None:
    """All that must hold in an environment that has perdure, with the official package beside it or not."""
    ours = environment.site / "perdure_sdks" / "azure" / "durable_functions" / "__init__.py"
    official = environment.site / "azure" / "durable_functions" / "__init__.py"
    assert environment.run(WHERE) == str(official if beside else ours)
    assert environment.run("from perdure.sdks import prefer_ours; prefer_ours(); " + WHERE) == str(ours)
    assert environment.run(
        "from perdure.sdks import prefer_ours; prefer_ours(); import azure.functions as func; "
        "app = func.FunctionApp(); app.activity_trigger(input_name='x')(lambda x: x); "
        "import sys; print(sys.modules['azure.durable_functions'].__file__)"
    ) == str(ours)
    assert environment.run("import azure.identity, azure.storage.blob, azure.functions, perdure; print('all')") == "all"

    with HostProcess(app, python=environment.python, environment=environment.environment()) as host:
        status = host.completed(host.start_instance("/api/orchestrators/hello_orchestrator"))
        assert status["output"] == ["Hello Seattle", "Hello Tokyo", "Hello London"]
        *_, line = [line for line in host.log().splitlines() if line.startswith("SDK: perdure")]
    assert "serves azure.durable_functions" in line
    assert (f"{OFFICIAL} 1." in line) == beside

    environment.check()
    assert not environment.changed_files()


def test_perdure_alone(environment, app):
    environment.install("perdure", *NEIGHBOURS)

    assert_ours_serves(environment, app, beside=False)
    assert environment.run(PORTABLE).splitlines() == ["Hello you", "False"]


@pytest.mark.parametrize("order", [(OFFICIAL, "perdure"), ("perdure", OFFICIAL)], ids=" before ".join)
def test_both_in_either_order_and_each_removed_again(environment, app, order):
    environment.install(*NEIGHBOURS)
    for name in order:
        environment.install(name)
    assert_ours_serves(environment, app, beside=True)

    environment.uninstall(OFFICIAL)
    assert OFFICIAL not in environment.installed()
    assert_ours_serves(environment, app, beside=False)

    environment.install(OFFICIAL)
    environment.uninstall("perdure")
    assert environment.run(WHERE) == str(environment.site / "azure" / "durable_functions" / "__init__.py")
    # pip leaves folders that held nothing but folders; no file of ours stays, and none is on the path.
    assert not [file for file in environment.site.rglob("perdure*/**/*") if file.is_file()]
    assert not list(environment.site.glob("perdure*.pth"))
    assert not environment.changed_files()
