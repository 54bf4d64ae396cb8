"""Hubs inside a program: shared, counted, restarted, and clear about who holds a store."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure.client import ClientDetached, InstanceRecord, RuntimeStatus
from perdure.contracts.errors import InvalidInput, StoreInUse, StoreUnusable
from perdure.core.registry import ActivityDefinition, OrchestratorDefinition
from perdure.core.versioning import MatchStrategy, Versioning
from perdure.host.embedded import EmbeddedHub, EmbeddedOptions, open_embedded
from support.small_hub import Functions

SECONDS = 10


def chain(*, activity: str = "double", name: str = "chain") -> OrchestratorDefinition:
    """An orchestrator that gives its input to an activity and returns what that returned."""
    functions = Functions()

    def code(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity(activity, input, lambda text: text))

    code.__name__ = name
    functions.orchestrator(code)
    definition = functions.registry.orchestrator(name)
    assert isinstance(definition, OrchestratorDefinition)
    return definition


def doubling(run: Callable[[str], str] = lambda text: str(2 * int(text)), name: str = "double") -> ActivityDefinition:
    """An activity over the text of its input."""
    return ActivityDefinition(name, lambda call: run(call.input or ""))


def start(hub: EmbeddedHub, name: str = "chain", input: str = "21") -> str:
    """Start from a thread without a loop."""
    return hub.client.blocking(lambda: hub.task_hub.start(name, input=input))


def ended(hub: EmbeddedHub, instance_id: str) -> InstanceRecord:
    """Wait for the end."""
    record = hub.client.blocking(lambda: hub.task_hub.wait_for_completion(instance_id, SECONDS))
    assert record is not None
    return record


@pytest.fixture(params=["memory", "sqlite"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """Where the hub of a test is: a file, or nowhere."""
    return None if request.param == "memory" else str(tmp_path)


@pytest.fixture
def hub(location: str | None, request: pytest.FixtureRequest) -> Iterator[EmbeddedHub]:
    """An open hub."""
    opened = open_embedded(location, name=request.node.name)
    yield opened
    opened.close()


def test_runs_what_a_worker_serves_and_answers_clients(hub: EmbeddedHub) -> None:
    serving = hub.serve([chain()], [doubling()], [])
    record = ended(hub, start(hub))
    assert (record.progress.status, record.progress.output) == (RuntimeStatus.Completed, '"42"')
    assert serving.stop()
    assert serving.stop()


def test_a_start_before_any_worker_waits_for_one(hub: EmbeddedHub) -> None:
    instance_id = start(hub)
    record = hub.client.blocking(lambda: hub.task_hub.get(instance_id))
    assert record is not None
    assert record.progress.status is RuntimeStatus.Pending
    serving = hub.serve([chain()], [doubling()], [])
    assert ended(hub, instance_id).progress.status is RuntimeStatus.Completed
    serving.stop()


def test_goes_on_after_all_workers_stopped_and_one_came_back(hub: EmbeddedHub) -> None:
    may_end = threading.Event()
    tries: list[str] = []

    def slow(text: str) -> str:
        tries.append(text)
        assert may_end.wait(SECONDS)
        return "1"

    serving = hub.serve([chain()], [doubling(slow)], [])
    instance_id = start(hub)
    stopper = threading.Thread(target=lambda: serving.stop())
    stopper.start()
    may_end.set()
    stopper.join(SECONDS)
    again = hub.serve([chain()], [doubling()], [])
    assert ended(hub, instance_id).progress.status is RuntimeStatus.Completed
    again.stop()


def test_workers_names_are_united_and_stay_while_one_serves(hub: EmbeddedHub) -> None:
    first = hub.serve([chain()], [], [])
    second = hub.serve([], [doubling()], [])
    assert ended(hub, start(hub)).progress.output == '"42"'
    second.stop()
    assert ended(hub, start(hub)).progress.output == '"42"'
    replacement = hub.serve([], [doubling(lambda text: "mine")], [])
    assert ended(hub, start(hub)).progress.output == '"mine"'
    replacement.stop()
    first.stop()


def test_two_running_workers_may_not_serve_one_name(hub: EmbeddedHub) -> None:
    serving = hub.serve([chain()], [doubling()], [])
    with pytest.raises(ValueError, match="'double'"):
        hub.serve([chain(name="other")], [doubling()], [])
    assert ended(hub, start(hub)).progress.status is RuntimeStatus.Completed
    assert ended(hub, start(hub, "other")).progress.status is RuntimeStatus.Failed
    serving.stop()


def test_workers_of_one_hub_share_their_options(hub: EmbeddedHub) -> None:
    strict = EmbeddedOptions(versioning=Versioning("1", MatchStrategy.STRICT))
    serving = hub.serve([chain()], [], [], strict)
    joined = hub.serve([], [doubling()], [], EmbeddedOptions())
    with pytest.raises(ValueError, match="share its versioning"):
        hub.serve([], [], [], EmbeddedOptions(activities_max=3))
    joined.stop()
    serving.stop()
    hub.serve([], [], [], EmbeddedOptions(activities_max=3)).stop()


def test_the_store_stays_open_until_the_last_hold_is_given_back(hub: EmbeddedHub, location: str | None) -> None:
    second = open_embedded(location, name=hub._key[0].removeprefix("memory:"))
    assert second is hub
    second.close()
    assert hub.client.blocking(lambda: hub.task_hub.get("x")) is None


def test_memory_is_kept_when_nobody_holds_the_hub() -> None:
    hub = open_embedded(None, name="kept")
    instance_id = start(hub)
    client = hub.client
    hub.close()
    with pytest.raises(ClientDetached):
        client.blocking(lambda: hub.task_hub.get(instance_id))
    again = open_embedded(None, name="kept")
    assert again.client.blocking(lambda: again.task_hub.get(instance_id)) is not None
    again.close()


def test_hubs_of_one_place_do_not_see_each_other(location: str | None, tmp_path: Path) -> None:
    first, second = (open_embedded(location, hub, name="shared") for hub in ("default", "Other"))
    instance_id = start(first)
    assert second.client.blocking(lambda: second.task_hub.get(instance_id)) is None
    if location is not None:
        assert {"hub.db", "hub.other.db"} <= {path.name for path in tmp_path.iterdir()}
    first.close()
    second.close()


def test_a_file_is_named_or_a_folder(tmp_path: Path) -> None:
    hub = open_embedded(str(tmp_path / "new" / "orders.db"))
    assert (tmp_path / "new" / "orders.db").exists()
    hub.close()


@pytest.mark.parametrize("name", ["", "a b", "../up", "-x", "x" * 101])
def test_a_hub_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a task hub"):
        open_embedded(None, name)


def test_a_file_that_is_no_store_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no store" * 200)
    threads = set(threading.enumerate())
    with pytest.raises(StoreUnusable):
        open_embedded(str(tmp_path / "x.db"))
    assert set(threading.enumerate()) <= threads


def test_a_store_that_another_process_holds_is_named_with_it(tmp_path: Path) -> None:
    holder = (
        "import sys\nfrom perdure.host.embedded import open_embedded\n"
        f"hub = open_embedded({str(tmp_path)!r})\nprint('open', flush=True)\nsys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(StoreInUse, match=str(process.pid)):
            open_embedded(str(tmp_path))
        process.communicate("\n", timeout=SECONDS)
        assert process.returncode == 0
    open_embedded(str(tmp_path)).close()


def finished(program: str) -> str:
    """What a program prints that ends well and without a complaint."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        env={"PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path])},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_program_that_closes_nothing_ends_quietly_and_keeps_what_it_did(tmp_path: Path) -> None:
    program = (
        "from test_embedded import *\n"
        f"hub = open_embedded({str(tmp_path)!r})\nhub.serve([chain()], [doubling()], [])\n"
        "i = start(hub); ended(hub, i); print(i)"
    )
    instance_id = finished(program)
    hub = open_embedded(str(tmp_path))
    assert ended(hub, instance_id).progress.output == '"42"'
    hub.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_hubs_of_its_own() -> None:
    program = (
        "import os, warnings\nfrom test_embedded import *\n"
        "warnings.simplefilter('ignore', DeprecationWarning)  # newer Pythons warn of threads and forks\n"
        "hub = open_embedded(None)\nserving = hub.serve([chain()], [doubling()], [])\n"
        "child = os.fork()\n"
        "if child:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "else:\n"
        "    hub = open_embedded(None)\n"
        "    serving = hub.serve([chain()], [doubling()], [])\n"
        "assert ended(hub, start(hub)).progress.output == '\"42\"'\n"
    )
    assert finished(program) == ""


async def _from_two_loops(hub: EmbeddedHub) -> str:
    return await hub.client.start("chain", input="2")


def test_the_client_is_awaited_on_any_loop(hub: EmbeddedHub) -> None:
    serving = hub.serve([chain()], [doubling()], [])
    for _ in range(2):
        assert ended(hub, asyncio.run(_from_two_loops(hub))).progress.output == '"4"'
    serving.stop()
