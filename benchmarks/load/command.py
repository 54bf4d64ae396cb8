"""The command: one of load, growth and soak; prints and keeps a report. Exit code 1 when a gate is missed."""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.load.gates import GROWTH_GATES, LOAD_GATES, SOAK_GATES, Verdict, all_met, judge
from benchmarks.load.growth import grow
from benchmarks.load.hosts import StoreKind
from benchmarks.load.report import write_report
from benchmarks.load.runs import Run
from benchmarks.load.soak import soak
from benchmarks.load.steps import measure_load
from benchmarks.machine import read_machine, read_source
from benchmarks.results import keep


def main(texts: Sequence[str] | None = None) -> int:
    """Measure what the arguments ask for."""
    given_texts = sys.argv[1:] if texts is None else list(texts)
    given = _parser().parse_args(given_texts)
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    source, machine = read_source(), read_machine(work)
    folder = Path(tempfile.mkdtemp(prefix=f"{given.what}-", dir=work))
    try:
        runs, verdicts = _measure(given, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    facts: dict[str, Any] = {
        "what": given.what,
        "date": date.today().isoformat(),
        "commit": source.commit,
        "changed": source.changed,
        "command": shlex.join(["python", "-m", "benchmarks.load", *given_texts]),
        "machine": machine,
    }
    report = write_report(facts, runs, verdicts)
    print(f"\n{report}")
    if given.keep:
        document = json.dumps({"format": 1, **facts, "runs": runs}, indent=1) + "\n"
        for path in keep(f"{given.what}-{facts['date']}", source.short, report, document):
            print(f"kept: {path}")
    return 0 if all_met(verdicts) else 1


def _measure(given: argparse.Namespace, folder: Path) -> tuple[list[Run], list[Verdict]]:
    if given.what == "soak":
        runs = [soak(folder, minutes=given.minutes, rate=given.rate)]
        return runs, judge(SOAK_GATES, runs)
    if given.what == "growth":
        runs = [grow(folder, instances=given.instances, purged=given.purged)]
        return runs, judge(GROWTH_GATES, runs)
    runs = measure_load(
        folder, seconds=given.seconds, rounds=given.rounds, only_chain=given.only_chain, kind=StoreKind(given.store)
    )
    return runs, judge(LOAD_GATES, [run for run in runs if run["is_gate"]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description="What a host bears through HTTP.")
    parser.add_argument("what", choices=["load", "growth", "soak"])
    parser.add_argument("--seconds", type=float, default=60.0, help="load: length of a paced run (default: 60)")
    parser.add_argument("--rounds", type=int, default=3, help="load: how often each runs (default: 3)")
    parser.add_argument("--only-chain", action="store_true", help="load: the gate and nothing else")
    parser.add_argument(
        "--store", choices=[kind.value for kind in StoreKind], default="sqlite", help="load: where the state is kept"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="soak: how long (default: 30)")
    parser.add_argument("--rate", type=float, help="soak: instances a second (default: half of the highest)")
    parser.add_argument("--instances", type=int, default=1_000_000, help="growth: finished ones in the store")
    parser.add_argument("--purged", type=int, default=100_000, help="growth: how many are purged at once")
    parser.add_argument("--keep", action="store_true", help="keep the report in benchmarks/results/")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(__file__).resolve().parents[1] / ".runs",
        help="folder for the stores; must be on a real disk (default: benchmarks/.runs)",
    )
    return parser
