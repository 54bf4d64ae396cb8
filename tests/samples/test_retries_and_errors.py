import pytest

from support.host_process import HostProcess


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("retries_and_errors")


def test_a_service_that_fails_twice_is_asked_three_times(host):
    status = host.completed(host.start_instance("/api/bookings", {"id": "t1", "seat_failures": 2}))

    assert status["output"] == {"booked": True, "seat": "seat 12A at attempt 3", "room": "room 7"}


def test_a_failure_is_caught_with_its_reason_and_what_was_done_is_undone(host):
    links = host.start_instance("/api/bookings", {"id": "t2", "hotel": "full"})
    status = host.completed(links)

    assert status["output"]["booked"] is False
    assert status["output"]["reason"].startswith("Activity function 'book_room' failed:")
    events = host.status(links, showHistory="true")["historyEvents"]
    assert [event.get("FunctionName") for event in events if event["EventType"] == "TaskCompleted"] == [
        "book_seat",
        "cancel_seat",
    ]


def test_when_all_attempts_fail_the_orchestration_fails_with_the_activitys_own_error(host):
    status = host.finished(host.start_instance("/api/bookings", {"id": "t3", "seat_failures": 9}))

    assert status["runtimeStatus"] == "Failed"
    assert "book_seat" in status["output"]
    assert "the seat service does not answer" in status["output"]
