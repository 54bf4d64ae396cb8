"""The command: plan, run in turns, report."""

import shlex
import sys
import time
from collections.abc import Sequence
from datetime import date
from typing import Any

from benchmarks.arguments import OURS, Arguments, read_arguments
from benchmarks.engines import KINDS
from benchmarks.machine import Source, read_machine, read_source
from benchmarks.outcomes import Outcome
from benchmarks.plan import Measurement, make_plan
from benchmarks.profiling import profile
from benchmarks.report import headline, write_report
from benchmarks.results import keep, write_json
from benchmarks.running import run_once, why_missing

_PERDURE = frozenset({OURS, *(name for name in KINDS if name.startswith(("perdure-", "serve-")))})
ONCE_AFTER_SECONDS = 75.0
"""A run that took longer is not repeated."""


def main(texts: Sequence[str] | None = None) -> int:
    """Returns 1 when a run of perdure failed; a missing peer and a missed floor are said, not failures."""
    arguments = read_arguments(sys.argv[1:] if texts is None else texts)
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.profile is not None:
        print(profile(arguments.profile, arguments.work))
        return 0
    source = read_source()
    facts = _facts(arguments, source, sys.argv[1:] if texts is None else texts)
    missing = {name: reason for name in arguments.peers if (reason := why_missing(name)) is not None}
    for name, reason in missing.items():
        print(f"not compared with {KINDS[name].title}: {reason}", flush=True)
    plan = make_plan(arguments)
    outcomes = _run_all(plan, arguments, missing)
    report = write_report(plan, outcomes, missing, facts)
    print(f"\n{report}")
    if arguments.keep:
        for path in keep(facts["date"], source.short, report, write_json(outcomes, missing, facts)):
            print(f"kept: {path}")
    return int(any(outcome.engine in _PERDURE and outcome.failure is not None for outcome in outcomes))


def _facts(arguments: Arguments, source: Source, texts: Sequence[str]) -> dict[str, Any]:
    return {
        "date": date.today().isoformat(),
        "commit": source.commit,
        "changed": source.changed,
        "command": shlex.join(["python", "-m", "benchmarks", *texts]),
        "rounds": arguments.rounds,
        "machine": read_machine(arguments.work),
        "durability": {name: KINDS[name].durability for name in (OURS, *arguments.peers)},
    }


def _run_all(plan: Sequence[Measurement], arguments: Arguments, missing: dict[str, str]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    total = sum(arguments.rounds * len(m.sizes.keys() - missing.keys()) for m in plan)
    done = 0
    begun = time.monotonic()
    for measurement in plan:
        once: set[str] = set()
        for round_ in range(1, arguments.rounds + 1):
            for engine in measurement.sizes:
                if engine in missing:
                    continue
                done += 1
                if engine in once:
                    continue
                label = f"[{done:3}/{total}] {measurement.key:13} round {round_}  {KINDS[engine].title:21}"
                if sys.stdout.isatty():
                    print(label, end="\r", flush=True)
                outcome = run_once(measurement, engine, round_, arguments.work)
                outcomes.append(outcome)
                print(f"{label} {headline(outcome, measurement.workload)}", flush=True)
                if outcome.wall_seconds > ONCE_AFTER_SECONDS or outcome.failure is not None:
                    once.add(engine)
    print(f"{len(outcomes)} runs in {time.monotonic() - begun:.0f} s", flush=True)
    return outcomes
