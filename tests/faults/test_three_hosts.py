"""Three hosts on one hub: killed, stopped, paused, cut off, and their server restarts. Short, with a short lease.

`make faults` does each many times over, with the default lease, and more.
"""

import random
import signal
from pathlib import Path

from benchmarks.postgres_cluster import Cluster

from support.host_crew import HostCrew, answers_again
from support.journeys import Journeys

LEASE = 1.5
TAKEOVER_SECONDS_MAX = LEASE + 5
"""reliability.md O4."""
HAND_OVER_SECONDS_MAX = 2.0
RESUME_SECONDS_MAX = 10.0
"""O6."""


def test_nothing_is_lost_or_doubled_whatever_is_done_to_three_hosts(tmp_path: Path, server: Cluster) -> None:
    with HostCrew(tmp_path, server.url, lease_seconds=LEASE, proxied=True) as crew:
        journeys = Journeys(crew)
        with journeys.under_way():
            first, second, third = crew.hosts
            probes = crew.probe(first)
            crew.kill(first)
            killed = crew.taken_over(probes, second, TAKEOVER_SECONDS_MAX)
            crew.start(first)

            probes = crew.probe(second)
            crew.stop(second)
            stopped = crew.taken_over(probes, third, HAND_OVER_SECONDS_MAX)
            crew.start(second)

            with crew.fault("lost answers"), crew.proxies[0].cutting(random.Random(0), every_seconds=0.1):
                crew.pause(third, 3 * LEASE)
            assert crew.proxies[0].cuts > 10

            with crew.fault("restart"):
                server.stop(signal.SIGQUIT)
                server.start()
            resumed = max(answers_again(host, RESUME_SECONDS_MAX, crew.about) for host in crew.hosts)
            crew.wait_shared()
        figures = journeys.check()
    print(f"takeover {killed:.1f} s, hand-over {stopped:.1f} s, resumed after {resumed:.1f} s; {figures}")
