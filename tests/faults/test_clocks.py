"""One of three hosts has a clock that is an hour off, or is set by an hour: nobody's timers or leases mind."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from benchmarks.postgres_cluster import Cluster

from support.false_clocks import FalseClock
from support.host_crew import HostCrew
from support.host_process import wait_until
from support.journeys import Journeys, listed

HOUR = 3600
TIMER_SECONDS = 3
LATE_SECONDS_MAX = 20
"""A timer fires this late at most, on a machine with much else to do; what is set is an hour."""
LEASE = 30.0
"""A host whose clock is false is slow where there is much else to do. An hour would end any lease."""
SETTINGS = (HOUR, -HOUR, HOUR, 0)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


@pytest.mark.parametrize("begin", [HOUR, -HOUR])
def test_a_clock_that_is_an_hour_off_and_is_set(tmp_path: Path, server: Cluster, begin: int) -> None:
    clock = FalseClock(tmp_path / "clock")
    clock.set(begin)
    with HostCrew(tmp_path, server.url, count=2, lease_seconds=LEASE) as crew:
        crew.join(clock.environment())
        crew.wait_shared()
        places = crew.ask("select number from hub.process order by number")
        journeys = Journeys(crew)
        with journeys.under_way():
            for seconds in (begin, *SETTINGS):
                clock.set(seconds)
                timers_are_in_time(crew)
        assert crew.ask("select number from hub.process order by number") == places, "a lease was lost"
        assert not journeys.refused
        figures = journeys.check()
    assert not journeys.repeats
    print(f"\n{figures}")


def timers_are_in_time(crew: HostCrew) -> None:
    """Also those that one host starts and another runs; and what is written down is the right time."""
    prefix = f"sleeper-{time.monotonic():.3f}-"
    last_start = time.monotonic()
    for number in range(24):
        last_start = time.monotonic()
        crew.hosts[number % 3].start_instance(f"/api/start/sleeps/{prefix}{number}", TIMER_SECONDS)
    found: list[dict[str, Any]] = []

    def all_ended() -> bool:
        found[:] = listed(crew.hosts[0], instanceIdPrefix=prefix)
        return len(found) == 24 and all(each["runtimeStatus"] == "Completed" for each in found)

    wait_until(all_ended, "the timers have fired", limit=TIMER_SECONDS + 2 * LATE_SECONDS_MAX, about=crew.about)
    assert time.monotonic() - last_start >= TIMER_SECONDS
    for status in found:
        # By the orchestrator's clock, which is the store's.
        assert TIMER_SECONDS <= status["output"] <= TIMER_SECONDS + LATE_SECONDS_MAX, status
        for moment in ("createdTime", "lastUpdatedTime"):
            off = datetime.now(UTC) - datetime.fromisoformat(status[moment])
            assert timedelta(seconds=-2) < off < timedelta(seconds=60), status
