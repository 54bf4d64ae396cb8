"""Which versions an app runs (semantics.md §15, functions-host.md §4)."""

from itertools import pairwise

import pytest

from perdure.core.versioning import (
    Accepted,
    Failed,
    FailureStrategy,
    MatchStrategy,
    Rejected,
    Versioning,
    check,
    compare_functions_versions,
)

STRICT, OLDER, NONE = MatchStrategy.STRICT, MatchStrategy.CURRENT_OR_OLDER, MatchStrategy.NONE


def test_order() -> None:
    ordered = [None, "1", "1.0", "1.0.0", "1.2", "1.10", "2", "10", "10.0.0.1", "Beta", "gamma"]
    for earlier, later in pairwise(ordered):
        assert compare_functions_versions(earlier, later) < 0
        assert compare_functions_versions(later, earlier) > 0


@pytest.mark.parametrize(
    ("left", "right"), [(None, None), (None, ""), ("", ""), ("1.2", "1.2"), ("1.02", "1.2"), ("BETA", "beta")]
)
def test_equal_versions(left: str | None, right: str | None) -> None:
    assert compare_functions_versions(left, right) == 0


@pytest.mark.parametrize("odd", ["1.2.3.4.5", "1.-2", "1..2", ".", "9" * 5000, "1.0-beta", "\u0661.\u0662"])
def test_odd_versions_are_compared_as_text(odd: str) -> None:
    assert compare_functions_versions(odd, odd) == 0
    assert compare_functions_versions(odd, "zzz") == -compare_functions_versions("zzz", odd) != 0


@pytest.mark.parametrize(
    ("match", "own", "instance", "runs"),
    [
        (NONE, None, "9", True),
        (NONE, "1.0", "9", True),
        (STRICT, "1.0", "1.0", True),
        (STRICT, "1.0", "0.9", False),
        (STRICT, "1.0", None, False),
        (STRICT, None, None, True),
        (STRICT, None, "1.0", False),
        (OLDER, "1.0", "1.0", True),
        (OLDER, "1.0", "0.9", True),
        (OLDER, "1.0", None, True),
        (OLDER, "1.0", "1.1", False),
        (OLDER, "1.9", "1.10", False),
        (OLDER, None, "1.1", True),
        (OLDER, "", None, True),
    ],
)
def test_matching(match: MatchStrategy, own: str | None, instance: str | None, runs: bool) -> None:
    rejecting = check(Versioning(own, match), instance)
    failing = check(Versioning(own, match, FailureStrategy.FAIL), instance)
    if runs:
        assert rejecting == failing == Accepted()
    else:
        assert isinstance(rejecting, Rejected)
        assert failing == Failed(rejecting.text)


def test_an_app_without_settings_runs_everything() -> None:
    assert check(Versioning(), "7.0") == Accepted()


def test_the_text_names_both_versions() -> None:
    assert check(Versioning("1.0", OLDER), "2.0") == Rejected(
        "The instance has version '2.0'; this app has version '1.0' and runs its own version and older ones."
    )
    assert check(Versioning("1.0", STRICT, FailureStrategy.FAIL), None) == Failed(
        "The instance has no version; this app has version '1.0' and runs only its own version."
    )


def test_another_door_brings_its_own_order() -> None:
    by_length = Versioning("aa", OLDER, compare=lambda left, right: len(left or "") - len(right or ""))
    assert check(by_length, "z") == Accepted()
    assert isinstance(check(by_length, "zzz"), Rejected)
