"""The runs as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.load.gates import Verdict
from benchmarks.load.runs import Run

_TITLES = {"load": "Load", "growth": "Growth", "soak": "Soak"}
_Columns = Sequence[tuple[str, str, int]]
_LOAD: _Columns = (
    ("rate", "asked/s", 0),
    ("answers_per_s", "answered/s", 0),
    ("completed_per_s", "completed/s", 0),
    ("start.p50", "answer p50 ms", 1),
    ("start.p95", "p95", 1),
    ("start.p99", "p99", 1),
    ("completion.p50", "completion p50 ms", 1),
    ("completion.p95", "p95", 1),
    ("completion.p99", "p99", 1),
    ("cpu_ms_per_instance", "CPU ms each", 2),
    ("written_bytes_per_instance", "bytes written each", 0),
    ("rss_mb", "MB", 0),
    ("errors", "errors", 0),
    ("lost", "lost", 0),
)


def write_report(facts: Mapping[str, Any], runs: Sequence[Run], verdicts: Sequence[Verdict]) -> str:
    """Everything a reader needs to judge the run."""
    machine = facts["machine"]
    changed = ", with changes that are not committed" if facts["changed"] else ""
    parts = [
        f"# {_TITLES[facts['what']]} of {facts['date']}",
        f"Commit {facts['commit']}{changed}; `{facts['command']}`.\n"
        f"{machine['cores']} x {machine['processor']}, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}; {machine['file_system']}, {machine['sync_ms_median']} ms a sync; "
        f"load {machine['load_1m_at_start']} at the start.\n"
        "Host and generator are processes of their own on these cores; answers count from their place on the "
        "timetable.",
        _load_table(runs) if facts["what"] == "load" else _plain_table(runs[0]),
        *(f"Said: {text}" for run in runs for text in run.get("told", ())),
        _gates_table(verdicts),
    ]
    return "\n\n".join(parts) + "\n"


def _load_table(runs: Sequence[Run]) -> str:
    head = ["workload", "round", *(title for _, title, _ in _LOAD)]
    rows = [
        [run["title"], str(run["round"]), *(f"{_value(run, figure):,.{digits}f}" for figure, _, digits in _LOAD)]
        for run in runs
    ]
    return _table(head, rows)


def _plain_table(run: Run) -> str:
    rows = [[name, f"{value:,.2f}"] for name, value in _flat(run) if isinstance(value, int | float)]
    return _table(["figure", "value"], rows)


def _flat(run: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in run.items():
        if isinstance(value, Mapping):
            found += [(f"{name} {inner}", deep) for inner, deep in value.items()]
        else:
            found.append((name, value))
    return found


def _value(run: Run, figure: str) -> float:
    outer, _, inner = figure.partition(".")
    return float(run[outer][inner] if inner else run[outer])


def _gates_table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        [
            verdict.gate.words,
            "" if verdict.measured is None else f"{verdict.measured:,.2f}",
            f"≤ {verdict.gate.most:,g}",
            "not measured" if verdict.met is None else "met" if verdict.met else "MISSED",
        ]
        for verdict in verdicts
    ]
    return "## Gates, worst run\n\n" + _table(["figure", "measured", "gate", ""], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["-" * max(3, len(title)) for title in head], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
