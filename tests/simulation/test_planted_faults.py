"""Tests of the simulation: every mistake planted in the hub is found."""

import itertools

import pytest

from perdure.testing.simulation.run import run_seed
from support.planted_faults import PLANTS

SEEDS_MAX = 2_000
SEEN_IN = {
    "a replaced holder keeps what it has locked since the start was asked for": 196,
    "a resumed instance takes timers that are not due": 695,
    "a successor inherits what was held back": 68,
    "an ended id is never used again": 32,
    "what was sent first is taken last": 104,
}
"""Where the search begins for those that take long."""


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTS[name](monkeypatch)
    seeds = itertools.chain([SEEN_IN.get(name, 0)], range(SEEDS_MAX))

    found = next((violation for seed in seeds if (violation := run_seed(seed).violation) is not None), None)

    assert found is not None, f"{SEEDS_MAX} seeds did not find that {name}"
    assert "TypeError" not in found, f"the plant no longer fits the hub: {found}"
    assert "AttributeError" not in found, f"the plant no longer fits the hub: {found}"
