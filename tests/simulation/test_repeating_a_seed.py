"""One seed is one run, byte for byte."""

import itertools
import os
import subprocess
import sys

import pytest

from perdure.testing.simulate import run_on


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_a_seed_repeats_itself(storage):
    for seed in range(10):
        assert run_on(storage, seed) == run_on(storage, seed)


def test_a_seed_repeats_itself_in_another_process():
    def trace(hash_seed: str) -> str:
        command = [sys.executable, "-m", "perdure.testing.simulate", "--seed", "7"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert trace("1") == trace("2")


def test_seeds_differ():
    assert len({run_on("memory", seed).trace for seed in range(20)}) == 20


def test_both_stores_give_the_same_run():
    """With one process from start to end; between two, a file answers a little later than memory."""
    runs = (run_on("memory", seed) for seed in itertools.count())
    calm = list(itertools.islice((run for run in runs if not run.crashes and not run.stops), 20))

    assert [run_on("sqlite", run.seed).trace for run in calm] == [run.trace for run in calm]
