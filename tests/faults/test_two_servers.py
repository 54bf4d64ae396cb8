"""Two servers on one hub, one worker with half of the functions at each: servers, workers and the database fail.

The orchestrator of one worker calls activities, a child and entities of the other. PERDURE_FAULT_CYCLES / 5 faults
(20) of all kinds by turns, for the official package and for ours.
"""

import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.postgres_cluster import Cluster

from support.official_environments import Interpreter
from support.serve_crew import ServeCrew

CYCLES = max(int(os.environ.get("PERDURE_FAULT_CYCLES", "100")) // 5, 1)
GOES_ON_SECONDS_MAX = 60.0
"""What a vanished worker had is given to another after 10 s (turns) or 30 s (activities)."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


def test_orders_that_two_workers_share(tmp_path: Path, server: Cluster, interpreter: Interpreter) -> None:
    dice = random.Random(5)
    took: dict[str, list[float]] = defaultdict(list)
    with ServeCrew(tmp_path, server.url, interpreter) as crew:
        faults = kinds(crew, server, dice)
        with crew.under_way():
            crew.goes_on(GOES_ON_SECONDS_MAX)
            for cycle in range(CYCLES):
                name = [*faults][cycle % len(faults)]
                took[name].append(faults[name]())
        figures = crew.check()
    for name, seconds in took.items():
        print(f"\n{name}: an order sent then ended after {max(seconds):.1f} s at most", end="")
    print(f"\n{figures}")


def kinds(crew: ServeCrew, server: Cluster, dice: random.Random) -> dict[str, Callable[[], float]]:
    """What may be done; each gives the seconds until an order that came then had ended."""

    def without_server(end: Callable[[int], None]) -> float:
        number = dice.randrange(2)
        end(number)
        with crew.substitute(number):
            took = crew.goes_on(GOES_ON_SECONDS_MAX, through=1 - number)
            crew.start_server(number)
        return took

    def other_worker(end: Callable[[int], None]) -> float:
        number = dice.randrange(2)
        end(number)
        crew.start_worker(number)
        return crew.goes_on(GOES_ON_SECONDS_MAX, through=dice.randrange(2))

    def database_restarts(how: signal.Signals) -> float:
        with crew.fault("restart"):
            server.stop(how)
            time.sleep(dice.uniform(0, 3))  # so long it is away
            server.start()
        return crew.goes_on(GOES_ON_SECONDS_MAX, through=dice.randrange(2))

    return {
        "server killed": lambda: without_server(crew.kill_server),
        "worker killed": lambda: other_worker(crew.kill_worker),
        "database restarts fast": lambda: database_restarts(signal.SIGINT),
        "server stopped": lambda: without_server(crew.stop_server),
        "worker stopped": lambda: other_worker(crew.stop_worker),
        "database restarts immediately": lambda: database_restarts(signal.SIGQUIT),
    }
