"""The figures and gates of the load commands."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from benchmarks.load.arithmetic import arrivals, is_sustained, last_part, percentiles_ms, slope_per_minute
from benchmarks.load.filling import fill
from benchmarks.load.gates import GROWTH_GATES, LOAD_GATES, SOAK_GATES, all_met, judge
from benchmarks.load.report import write_report
from benchmarks.load.soak import memory_figures

from perdure.core.status import RuntimeStatus
from support.sqlite_store import opened
from support.stored_instances import creation, episode

FACTS: dict[str, Any] = {
    "what": "soak",
    "date": "2026-01-02",
    "commit": "0123456789",
    "changed": False,
    "command": "python -m benchmarks.load soak",
    "machine": {
        "processor": "a processor",
        "cores": 2,
        "memory_gib": 4.0,
        "system": "a system",
        "python": "3.11.0",
        "file_system": "ext4",
        "sync_ms_median": 0.3,
        "load_1m_at_start": 0.0,
    },
}


def test_percentiles_are_in_milliseconds() -> None:
    found = percentiles_ms([n / 1000 for n in range(101)])
    assert (found.p50, found.p95, found.p99, found.most) == (50.0, 95.0, 99.0, 100.0)


def test_nothing_asked_has_no_percentiles() -> None:
    assert percentiles_ms([]).p99 == 0.0


def test_arrivals_keep_to_the_rate() -> None:
    assert arrivals(4.0, 1.0) == [0.0, 0.25, 0.5, 0.75]


def test_a_rate_below_one_in_the_time_is_still_one_request() -> None:
    assert arrivals(0.1, 1.0) == [0.0]


@pytest.mark.parametrize(
    ("start", "completion", "errors", "lost", "expected"),
    [
        (10.0, 20.0, 0, 0, True),
        (10.0, 1500.0, 0, 0, False),
        (1500.0, 20.0, 0, 0, False),
        (10.0, 20.0, 1, 0, False),
        (10.0, 20.0, 0, 1, False),
    ],
)
def test_a_rate_is_sustained_when_nobody_queues_and_nothing_is_lost(start, completion, errors, lost, expected) -> None:
    assert is_sustained(start_p99_ms=start, completion_p99_ms=completion, errors=errors, lost=lost) is expected


def test_a_slope_is_by_least_squares_and_a_minute() -> None:
    assert slope_per_minute([(0.0, 50.0), (30.0, 51.0), (60.0, 52.0)]) == pytest.approx(2.0)
    assert slope_per_minute([(0.0, 51.0), (20.0, 50.0), (40.0, 50.0), (60.0, 51.0)]) == pytest.approx(0.0)


def test_a_slope_needs_two_moments() -> None:
    with pytest.raises(ValueError, match="two moments"):
        slope_per_minute([(1.0, 50.0)])


def test_the_last_part_is_counted_from_the_end() -> None:
    samples = [(float(n), 0.0) for n in range(10)]
    assert last_part(samples, 2.0) == [(7.0, 0.0), (8.0, 0.0), (9.0, 0.0)]


def test_the_soak_is_judged_by_its_last_third() -> None:
    warming = [(float(s), 50.0 + s / 10) for s in range(0, 120, 5)]
    steady = [(float(s), 62.0) for s in range(120, 180, 5)]
    figures = memory_figures([*warming, *steady], minutes=3.0)
    assert figures["slope_mb_per_minute"] == pytest.approx(0.0, abs=0.4)
    assert figures["rss_last_mb"] == 62.0


def test_the_worst_run_is_judged() -> None:
    verdicts = judge(
        LOAD_GATES,
        [{"start_p99_ms": 20.0, "errors": 0, "lost": 0}, {"start_p99_ms": 251.0, "errors": 0, "lost": 0}],
    )
    assert [verdict.met for verdict in verdicts] == [False, True, True]
    assert not all_met(verdicts)


def test_what_was_not_measured_is_not_met() -> None:
    assert not all_met(judge(GROWTH_GATES, [{"errors": 0}]))
    assert [verdict.met for verdict in judge(GROWTH_GATES, [{}])] == [None] * len(GROWTH_GATES)


def test_a_report_names_the_command_and_each_gate() -> None:
    run = {"slope_mb_per_minute": 0.2, "errors": 0, "lost": 3, "completion": {"p99": 7.0}, "told": ["503: busy"]}
    text = write_report(FACTS, [run], judge(SOAK_GATES, [run]))
    assert "`python -m benchmarks.load soak`" in text
    assert "| completion p99 | 7.00 |" in text
    assert "Said: 503: busy" in text
    assert text.count("| met |") == 2
    assert "MISSED" in text


def test_a_filled_store_is_sound_and_its_copies_are_found(tmp_path: Path) -> None:
    async def model() -> None:
        async with opened(tmp_path / "model.db") as stage:
            await stage.hold()
            first = await stage.begin(creation("model-0"), [])
            await stage.commit(episode(first, status=RuntimeStatus.Completed, output='"some"'))

    async def look() -> None:
        async with opened(tmp_path / "many.db") as stage:
            assert await stage.findings() == []
            found = await stage.storage.get(filled.id_of(69))
            assert found is not None
            assert found.progress.output == '"some"'
            assert found.origin.created_at.timestamp() == pytest.approx(filled.created_at(69) / 1e6)
            assert await stage.storage.get(filled.id_of(70)) is None

    asyncio.run(model())
    filled = fill(tmp_path / "model.db", tmp_path / "many.db", count=70)
    asyncio.run(look())
