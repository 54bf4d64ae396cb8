"""How many seeds are run, and what all runs together came to: a silent pass is not evidence."""

import os

import pytest

from perdure.testing.simulate import Totals

SEEDS = int(os.environ.get("PERDURE_SIMULATION_SEEDS", "500"))
SEEDS_PER_TEST = 50
HOSTS_SEEDS = 20 if SEEDS <= 500 else SEEDS // 5
"""Seeds of several hosts take longer."""
HOSTS_SEEDS_PER_TEST = 5

_totals = pytest.StashKey[dict[str, Totals]]()


@pytest.fixture(scope="session")
def totals(request: pytest.FixtureRequest) -> dict[str, Totals]:
    """Storage → what its runs came to; shown at the end."""
    return request.config.stash.setdefault(_totals, {"memory": Totals(), "sqlite": Totals(), "hosts": Totals()})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, count in (("first_of_memory", SEEDS), ("first_of_sqlite", SEEDS // 5)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, range(0, count, SEEDS_PER_TEST))
    if "first_of_hosts" in metafunc.fixturenames:
        metafunc.parametrize("first_of_hosts", range(0, HOSTS_SEEDS, HOSTS_SEEDS_PER_TEST))


@pytest.fixture
def count_of_hosts() -> int:
    """How many seeds of several hosts one test runs."""
    return HOSTS_SEEDS_PER_TEST


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for storage, total in config.stash.get(_totals, {}).items():
        if total.seeds:
            terminalreporter.write_line(f"simulation on {storage}: {total}")
