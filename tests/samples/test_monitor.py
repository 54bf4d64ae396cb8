import pytest

from support.host_process import HostProcess


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("monitor")


def test_it_asks_until_the_job_is_done_and_shows_the_last_answer(host):
    config = {"job": "backup", "interval_seconds": 0.1, "duration_seconds": 60}

    status = host.completed(host.start_instance("/api/monitors", config))

    assert status["output"] == "backup done after 3 checks"
    assert status["customStatus"] == {"check": 3, "state": "done"}


def test_it_gives_up_when_the_time_is_over(host):
    config = {"job": "endless", "interval_seconds": 0.1, "duration_seconds": 0.35}

    status = host.completed(host.start_instance("/api/monitors", config))

    assert status["output"] == "endless not done in time"
    assert status["customStatus"]["check"] in range(1, 5)
