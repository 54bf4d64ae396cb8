"""A run as JSON, and where runs are kept."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.goals import judge
from benchmarks.outcomes import Outcome

RESULTS = Path(__file__).resolve().parent / "results"
FORMAT = 1


def write_json(outcomes: Sequence[Outcome], missing: dict[str, str], facts: dict[str, Any]) -> str:
    """Facts, raw figures of every run, and the verdicts."""
    verdicts = [
        {
            "measurement": v.target.key,
            "engine": v.target.engine,
            "figure": v.target.figure,
            "kind": "goal" if v.is_goal else "floor",
            "bar": str(v.bar),
            "measured": v.measured,
            "value": v.value,
            "met": v.met,
        }
        for v in judge(outcomes)
    ]
    document = {
        "format": FORMAT,
        **facts,
        "missing": missing,
        "runs": [asdict(outcome) for outcome in outcomes],
        "verdicts": verdicts,
    }
    return json.dumps(document, indent=1) + "\n"


def keep(date: str, commit: str, report: str, document: str, folder: Path = RESULTS) -> list[Path]:
    """Write both beside each other; a second run of that day and commit gets a number of its own."""
    folder.mkdir(exist_ok=True)
    stem, number = f"{date}-{commit}", 1
    while (folder / f"{stem}.json").exists():
        number += 1
        stem = f"{date}-{commit}-{number}"
    written: list[Path] = []
    for suffix, text in ((".md", report), (".json", document)):
        path = folder / f"{stem}{suffix}"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
