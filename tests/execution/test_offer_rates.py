"""How fast activities end: what is said of a name, and when nothing is."""

import pytest

from perdure.contracts.records import PendingActivity
from perdure.execution.offer_rates import ActivityRates


def pack(number: int) -> PendingActivity:
    return PendingActivity(number, "order", "first", number, number, "pack", None)


def test_what_ended_in_a_stretch_before_counts_for_nothing_in_the_next_one() -> None:
    rates = ActivityRates()
    other, first, second = pack(1), pack(2), pack(3)
    rates.begun([PendingActivity(9, "order", "first", 9, 9, "wait", None), other], 0.0)
    rates.ended([other])
    rates.begun([first, second], 0.05)

    rates.measure(0.1)

    assert rates.rate("pack", 0.1) is None
    assert rates.rate("pack", 0.35) == 0.0


def test_what_ends_in_the_moment_of_a_look_says_nothing() -> None:
    rates = ActivityRates()
    rates.begun([PendingActivity(9, "order", "first", 9, 9, "wait", None)], 0.0)
    rates.begun([pack(1), pack(2)], 0.1)
    rates.ended([pack(1)])

    rates.measure(0.1)
    assert rates.rate("pack", 0.1) is None

    rates.measure(0.2)
    assert rates.rate("pack", 0.2) == pytest.approx(10, rel=0.2)
