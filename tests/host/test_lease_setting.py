"""How soon others take over from a process that died: read from the environment, refused when it makes no sense."""

import pytest

from perdure.host.lease_setting import lease_seconds_of
from perdure.host.options import StartFailed
from perdure.storage.shared.keeping import LeaseTimes, times_of_lease


@pytest.mark.parametrize(("text", "seconds"), [(None, 10.0), ("", 10.0), ("1", 1.0), ("2.5", 2.5), ("600", 600.0)])
def test_a_lease_is_a_number_of_seconds(text: str | None, seconds: float) -> None:
    assert lease_seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["0", "0.9", "-1", "601", "nan", "inf", "soon"])
def test_what_is_no_lease_stops_the_start(text: str) -> None:
    with pytest.raises(StartFailed, match=f"PERDURE_LEASE_SECONDS is a number .* not '{text}'") as refused:
        lease_seconds_of(text)
    assert refused.value.code == 2


def test_times_follow_the_lease_and_are_never_slower_for_a_longer_one() -> None:
    assert times_of_lease(10) == LeaseTimes()
    for seconds in (1.0, 4.0, 60.0):
        times = times_of_lease(seconds)
        # One renewal may fail before a process stops by its own clock.
        assert 2 * times.renewal < seconds - times.margin
        assert times.owed <= 1.0 >= times.again
