"""The run as Markdown that also reads well on a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.arguments import OURS
from benchmarks.engines import KINDS, Door
from benchmarks.goals import BACKEND, Verdict, judge
from benchmarks.job import Workload
from benchmarks.outcomes import Outcome, failures, spread
from benchmarks.plan import TITLES, Measurement


@dataclass(frozen=True, slots=True)
class Column:
    """A figure as a column of a workload's table."""

    figure: str
    title: str
    digits: int


COLUMNS: dict[Workload, tuple[Column, ...]] = {
    Workload.SEQUENCE: (
        Column("orchestrations_per_s", "orchestrations/s", 0),
        Column("activities_per_s", "activities/s", 0),
        Column("peak_mb", "peak MB", 0),
    ),
    Workload.FAN_OUT: (
        Column("activities_per_s", "activities/s", 0),
        Column("seconds", "seconds", 2),
        Column("peak_mb", "peak MB", 0),
    ),
    Workload.LATENCY: (Column("p50_ms", "p50 ms", 2), Column("p95_ms", "p95 ms", 2), Column("p99_ms", "p99 ms", 2)),
    Workload.RESIDENT: (Column("first_result_s", "first result s", 2), Column("idle_mb", "idle MB", 0)),
    Workload.SIXTY: (
        Column("added_v2_s", "v2 adds s", 3),
        Column("added_v2_cpu_s", "of CPU", 3),
        Column("added_v2_mb", "MB", 1),
        Column("added_v1_s", "v1 adds s", 3),
        Column("added_v1_cpu_s", "of CPU", 3),
        Column("added_v1_mb", "MB", 1),
    ),
    Workload.LONG: (
        Column("ms_per_step", "ms per step", 3),
        Column("first_tenth_ms", "first tenth ms", 3),
        Column("last_tenth_ms", "last tenth ms", 3),
        Column("peak_mb", "peak MB", 0),
    ),
    Workload.WAITING: (
        Column("created_per_s", "created/s", 0),
        Column("released_per_s", "released/s", 0),
        Column("added_mb", "added MB", 0),
        Column("cpu_percent", "CPU %", 1),
    ),
    Workload.CRASH: (
        Column("survived", "survived", 0),
        Column("ready_s", "ready s", 2),
        Column("release_s", "released in s", 2),
    ),
}
"""The first column of each is the one by which engines are compared."""
PER_ITEM = (Column("server_us_per_item", "server µs/item", 0), Column("worker_us_per_item", "worker µs/item", 0))
"""What A and B show of engines behind gRPC: processor time for each work item."""
COMPARED_WITH = {Door.PROCESS: (OURS, "perdure is"), Door.GRPC: (BACKEND, "of in-memory, official")}
"""By door, the engine that is compared with the others, or they with it, and the column's title."""


def headline(outcome: Outcome, workload: Workload) -> str:
    """One run in a few words."""
    if outcome.failure is not None:
        return outcome.failure
    column = COLUMNS[workload][0]
    return f"{_number(outcome.figures[column.figure], column.digits)} {column.title}"


def write_report(
    plan: Sequence[Measurement],
    outcomes: Sequence[Outcome],
    missing: dict[str, str],
    facts: dict[str, Any],
) -> str:
    """Everything a reader needs to judge the run."""
    parts = [_head(facts, outcomes), *_absences(plan, missing)]
    parts += [
        _workload_table(chosen, outcomes, workload, door)
        for workload in Workload
        for door in Door
        if (chosen := _measured(outcomes, workload, door, plan))
    ]
    verdicts = judge(outcomes)
    parts.append(_targets_table(verdicts, any(verdict.met is None for verdict in verdicts)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(facts: dict[str, Any], outcomes: Sequence[Outcome]) -> str:
    machine = facts["machine"]
    versions = {name: version for outcome in outcomes for name, version in outcome.versions.items()}
    changed = ", with changes that are not committed" if facts["changed"] else ""
    return "\n".join(
        [
            f"# Benchmark of {facts['date']}",
            "",
            f"Commit {facts['commit']}{changed}; `{facts['command']}`.",
            f"{machine['cores']} x {machine['processor']}, {machine['memory_gib']} GiB, {machine['system']}, "
            f"Python {machine['python']}; {machine['file_system']}, {machine['sync_ms_median']} ms a sync; "
            f"load {machine['load_1m_at_start']} at the start.",
            f"Versions: {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}.",
            f"Each figure is the median of its runs (least-most), {facts['rounds']} at most, engines in turns; each "
            "run in a fresh process on fresh state. Memory is resident memory of client, worker and servers together; "
            "through gRPC, where the client is the benchmark's own, of worker and server.",
        ]
    )


def _absences(plan: Sequence[Measurement], missing: dict[str, str]) -> list[str]:
    if not plan:
        return []
    return [f"**not compared with {KINDS[name].title}: {reason}**" for name, reason in missing.items()]


def _measured(
    outcomes: Sequence[Outcome], workload: Workload, door: Door, plan: Sequence[Measurement]
) -> list[Measurement]:
    keys = {outcome.key for outcome in outcomes}
    return [m for m in plan if m.workload is workload and m.door is door and m.key in keys]


def _workload_table(plan: Sequence[Measurement], outcomes: Sequence[Outcome], workload: Workload, door: Door) -> str:
    columns = COLUMNS[workload]
    if door is Door.GRPC and workload in (Workload.SEQUENCE, Workload.FAN_OUT):
        columns += PER_ITEM
    head = ["engine", "size", *(column.title for column in columns), COMPARED_WITH[door][1]]
    rows: list[list[str]] = []
    notes: list[str] = []
    for measurement in plan:
        for engine, size in measurement.sizes.items():
            if not any(o.key == measurement.key and o.engine == engine for o in outcomes):
                continue
            cells = [_cell(outcomes, measurement.key, engine, column) for column in columns]
            why = failures(outcomes, measurement.key, engine)
            notes += [f"{KINDS[engine].title}, {size:,}: {reason}" for reason in why]
            if why and not any(cells):
                cells[0] = "failed"
            rows.append(
                [KINDS[engine].title, f"{size:,}", *cells, _comparison(outcomes, measurement, engine, columns[0])]
            )
    title = f"## {TITLES[workload]}{', through gRPC' if door is Door.GRPC else ''}"
    return "\n\n".join([title, _table(head, rows), *notes])


def _cell(outcomes: Sequence[Outcome], key: str, engine: str, column: Column) -> str:
    found = spread(outcomes, key, engine, column.figure)
    if found is None:
        return ""
    text = _number(found.median, column.digits)
    if found.count > 1 and found.least != found.most:
        text += f" ({_number(found.least, column.digits)}-{_number(found.most, column.digits)})"
    return text


def _comparison(outcomes: Sequence[Outcome], measurement: Measurement, engine: str, column: Column) -> str:
    one = COMPARED_WITH[measurement.door][0]
    its, other = (spread(outcomes, measurement.key, name, column.figure) for name in (one, engine))
    if engine == one or column.figure == "survived" or its is None or other is None or not other.median:
        return ""
    # A peer of ours is what ours is divided by; what is behind gRPC is divided by the backend.
    over, under = (other, its) if measurement.door is Door.GRPC else (its, other)
    return f"{over.median / under.median:.2f}x" if under.median else ""


def _targets_table(verdicts: Sequence[Verdict], without_reference: bool) -> str:
    if not verdicts:
        return ""
    head = ["measurement", "figure", "measured", "held against", "value", "floor or goal", ""]
    rows: list[list[str]] = []
    for verdict in verdicts:
        judged = "not judged" if verdict.met is None else "met" if verdict.met else "MISSED"
        rows.append(
            [
                verdict.target.key,
                verdict.target.figure
                if verdict.target.engine == OURS
                else f"{verdict.target.figure}, {KINDS[verdict.target.engine].title}",
                _significant(verdict.measured),
                verdict.bar.basis.value,
                "" if verdict.value is None else _significant(verdict.value),
                f"{'goal' if verdict.is_goal else 'floor'} {verdict.bar}",
                judged,
            ]
        )
    note = (
        "\n\nNot judged: what is held against Restate or another engine that this run has no figures of."
        if without_reference
        else ""
    )
    return f"## Floors and goals\n\n{_table(head, rows)}{note}"


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def _significant(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *rows]
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
