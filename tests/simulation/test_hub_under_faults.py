"""The whole hub under generated workloads and faults: no promise is ever broken (reliability.md §2)."""

import pytest

from perdure.testing.simulate import Totals, run_on

SEEDS_PER_TEST = 50

KEPT = {
    3: "an ended id was taken by a scheduled start",
    12: "a resume came before a scheduled start",
    45: "an instance rested in the middle of a round",
    157: "a process was killed while it stopped",
    186: "a row beyond the horizon was in hand after the clock had jumped",
    268: "an id was refused that ended in the same commit",
    583: "a resumed instance took a timer that was not due",
    1491: "a timer was held back, then the clock went back",
    1651: "a timer was held back, then the clock went back",
    4030: "a message came before a start",
    4683: "the record of an ended id was loaded in the round that renewed it",
    4836: "a message was held back in the last episode",
}
"""Seeds that once found something, or almost did."""


def run_all(storage: str, first: int, totals: Totals) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        outcome = run_on(storage, seed)
        totals.add(outcome)
        assert outcome.violation is None, (
            f"seed {seed} on {storage}: {outcome.violation}; repeat it with "
            f"python -m perdure.testing.simulate --seed {seed} --storage {storage}"
        )


def test_seeds_on_memory(first_of_memory: int, totals: dict[str, Totals]) -> None:
    run_all("memory", first_of_memory, totals["memory"])


def test_seeds_on_sqlite(first_of_sqlite: int, totals: dict[str, Totals]) -> None:
    run_all("sqlite", 1_000_000 + first_of_sqlite, totals["sqlite"])


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_faults_struck_in_the_middle_of_work(storage: str, totals: dict[str, Totals]) -> None:
    sums = totals[storage].sums
    if not totals[storage].seeds:
        run_all(storage, 0, totals[storage])
        sums = totals[storage].sums

    assert all(sums[name] > 10 for name in ("crashes", "stops", "store_errors", "late_turns", "unknown_answers"))


@pytest.mark.parametrize("seed", KEPT)
def test_kept_seed(seed: int) -> None:
    assert run_on("memory", seed).violation is None
