"""What the report and the kept file say."""

import json
from pathlib import Path
from typing import Any

from benchmarks.arguments import read_arguments
from benchmarks.goals import TARGETS, judge
from benchmarks.measuring import percentile
from benchmarks.outcomes import Outcome
from benchmarks.plan import make_plan
from benchmarks.report import write_report
from benchmarks.results import keep, write_json

FACTS: dict[str, Any] = {
    "date": "2026-01-02",
    "commit": "0123456789",
    "changed": False,
    "command": "python -m benchmarks",
    "rounds": 3,
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


def latency(engine: str, p50: float, round_: int = 1) -> Outcome:
    figures = {"p50_ms": p50, "p95_ms": p50 * 2, "p99_ms": p50 * 3, "p99_to_p50": 3.0}
    return Outcome("C 200", engine, 200, round_, 1.0, figures, {engine: "1.2.3"})


def report(outcomes: list[Outcome], missing: dict[str, str] | None = None) -> str:
    return write_report(make_plan(read_arguments(["--only", "C"])), outcomes, missing or {}, FACTS)


def test_a_figure_is_the_median_of_its_rounds_with_its_range() -> None:
    text = report([latency("perdure", 1.0, 1), latency("perdure", 9.0, 2), latency("perdure", 2.0, 3)])
    assert "2.00 (1.00-9.00)" in text


def test_perdure_is_compared_with_each_peer() -> None:
    text = report([latency("perdure", 1.0), latency("restate", 4.0), latency("dbos-sqlite", 8.0)])
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if "200" in line and "|" in line}
    assert "0.25x" in rows["Restate"]
    assert "0.12x" in rows["DBOS, SQLite"]
    assert "x " not in rows["perdure, SQLite full"]


def test_floors_and_goals_are_judged_against_the_same_run() -> None:
    verdicts = {v.is_goal: v for v in judge([latency("perdure", 2.0), latency("restate", 4.0)]) if v.value == 0.5}
    assert verdicts[False].met is True
    assert verdicts[True].met is False


def test_without_restate_nothing_that_needs_it_is_met() -> None:
    outcomes = [latency("perdure", 2.0), latency("dbos-sqlite", 4.0)]
    assert [v.met for v in judge(outcomes) if v.target.figure == "p50_ms"] == [None, None]
    text = report(outcomes, {"restate": "no npm"})
    assert "not compared with Restate: no npm" in text
    assert "not judged" in text


def test_a_failed_run_is_told_with_its_reason() -> None:
    failed = Outcome("C 200", "restate", 200, 1, 120.0, failure="not done in 120 s")
    text = report([latency("perdure", 2.0), failed])
    assert "Restate, 200: not done in 120 s" in text


def items(engine: str, per_second: float, server: float) -> Outcome:
    figures = {"activities_per_s": per_second, "seconds": 1.0, "server_us_per_item": server}
    return Outcome("B gRPC 1,000", engine, 1000, 1, 1.0, figures, {engine: "1.2.3"})


def test_work_through_grpc_is_compared_with_the_official_backend() -> None:
    outcomes = [items("serve-official", 600.0, 400.0), items("memory-official", 150.0, 500.0)]
    text = write_report(make_plan(read_arguments(["--only", "B"])), outcomes, {}, FACTS)
    assert "through gRPC" in text
    row = next(line for line in text.splitlines() if line.startswith("| perdure serve, official"))
    assert "4.00x" in row
    met = {v.bar.basis.value: v.met for v in judge(outcomes)}
    assert met == {"x in-memory backend": True}


def test_a_servers_own_cost_is_what_it_takes_beyond_grpc_alone() -> None:
    outcomes = [items("serve-lean", 600.0, 420.0), items("grpc-empty", 900.0, 300.0)]
    verdicts = {v.is_goal: v for v in judge(outcomes) if v.target.figure == "server_us_per_item"}
    assert (verdicts[False].value, verdicts[False].met, verdicts[True].met) == (120.0, True, False)


def test_every_target_names_a_measurement_that_is_planned() -> None:
    planned = {measurement.key for measurement in make_plan(read_arguments(["--long"]))}
    assert {target.key for target in TARGETS} <= planned


def test_the_kept_file_holds_every_raw_value(tmp_path: Path) -> None:
    outcomes = [latency("perdure", 1.0, 1), latency("perdure", 3.0, 2)]
    paths = keep("2026-01-02", "01234567", "# text", write_json(outcomes, {"restate": "no npm"}, FACTS), tmp_path)
    assert [path.name for path in paths] == ["2026-01-02-01234567.md", "2026-01-02-01234567.json"]
    document = json.loads(paths[1].read_text())
    assert [run["figures"]["p50_ms"] for run in document["runs"]] == [1.0, 3.0]
    assert document["missing"] == {"restate": "no npm"}
    assert document["commit"] == "0123456789"
    assert any(verdict["figure"] == "p50_ms" and verdict["met"] is None for verdict in document["verdicts"])


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(n) for n in range(101)]
    assert [percentile(values, p) for p in (50, 95, 99)] == [50.0, 95.0, 99.0]
