"""Random programs over random pasts: our answers are those of the official package, call by call."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import azure.durable_functions as df
from support.pip_environment import pip

OFFICIAL = "azure-functions-durable==1.7.0"
FOLDER = Path(__file__).parent / "official"
COUNT = 1000
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def random_calls() -> ModuleType:
    spec = importlib.util.spec_from_file_location("random_calls", FOLDER / "random_calls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the official package answers."""
    folder = tmp_path_factory.mktemp("official")
    pip("install", "--quiet", "--no-compile", "--only-binary", ":all:", "--target", folder, OFFICIAL)
    # Without site packages: nothing of ours is within its reach.
    command = [sys.executable, "-I", "-S", FOLDER / "play.py", folder, FOLDER, str(COUNT)]
    played = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert played.returncode == 0, played.stderr
    return json.loads(played.stdout)


def test_orchestrators_answer_alike(official, random_calls):
    compared = 0
    for seed, play in enumerate(official["plays"]):
        handle = df.Orchestrator.create(random_calls.orchestrator_of(df, play["program"]))
        for context, answer in play["calls"]:
            if breaks_there(answer):
                break
            assert random_calls.call(handle, context) == answer, f"seed {seed}: {play['program']}"
            compared += 1
    assert compared > 2 * COUNT


def test_entities_answer_alike(official, random_calls):
    for seed, batch in enumerate(official["batches"]):
        ours = random_calls.call_entity(df, seed)
        assert ours == batch, f"seed {seed}"


def breaks_there(answer: list[Any]) -> bool:
    """Groups within groups, one of which has failed, end in an error of that package itself."""
    return answer[0] == "raised" and answer[2].startswith("Parent Task")
