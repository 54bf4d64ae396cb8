"""The whole hub under generated workloads and faults: no promise is ever broken (reliability.md §2).

What a seed does changes with the generator, so what one finds is kept as a test in tests/engine.
"""

import pytest

from perdure.testing.simulate import Totals, run_on

SEEDS_PER_TEST = 50


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

    kinds = ("crashes", "stops", "store_errors", "late_turns", "unknown_answers", "recalls", "lost_results")
    assert all(sums[name] > 10 for name in kinds)
