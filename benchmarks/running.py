"""Runs jobs: a fresh process on a fresh folder for each, ended with all it started."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.arguments import OURS
from benchmarks.engines import KINDS, environment_python
from benchmarks.host_process import HostFailed, measure_host, own_environment
from benchmarks.install_peers import REASON_FILE
from benchmarks.job import Figures, Job, Part, Workload
from benchmarks.machine import ROOT
from benchmarks.measuring_process import FIGURES, FIRST_RESULT, READY_TO_DIE
from benchmarks.outcomes import Outcome
from benchmarks.plan import Measurement
from benchmarks.sixty_functions import measure_sixty

RUN_SECONDS_MAX = 120.0
OWN_RUN_SECONDS_MAX = 600.0
REST_SECONDS = 16.0
"""F: long enough for an engine to let go of instances that do nothing."""
LOG_LINES = 3


class RunFailed(Exception):
    """A run brought no figures; the message says why."""


@dataclass(frozen=True, slots=True)
class _Marks:
    """What a process said: word → text, word → seconds since its start."""

    texts: dict[str, str]
    moments: dict[str, float]


def why_missing(engine: str) -> str | None:
    """Why a peer cannot be run; None when it can."""
    kind = KINDS[engine]
    needed = kind.starts_from or kind.environment
    if needed is None:
        return None
    python = environment_python(needed)
    reason = python.parents[1] / REASON_FILE
    if reason.exists():
        return reason.read_text().strip()
    return None if python.exists() else "not installed: run benchmarks/install_peers.py"


def run_once(measurement: Measurement, engine: str, round_: int, work: Path) -> Outcome:
    """One run; what goes wrong is the outcome's failure."""
    size = measurement.sizes[engine]
    folder = Path(tempfile.mkdtemp(prefix=f"{engine}-", dir=work))
    begun = time.perf_counter()
    figures: Figures = {}
    versions: dict[str, str] = {}
    failure = None
    try:
        figures, versions = _measure(Job(engine, measurement.workload, size, folder, rest_seconds=REST_SECONDS))
    except (RunFailed, HostFailed) as error:
        failure = str(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    wall = time.perf_counter() - begun
    return Outcome(measurement.key, engine, size, round_, round(wall, 2), figures, versions, failure)


def _measure(job: Job) -> tuple[Figures, dict[str, str]]:
    if job.workload is Workload.RESIDENT and job.engine == OURS:
        return measure_host(job.folder), {}
    if job.workload is Workload.SIXTY:
        return measure_sixty(job.folder), {}
    if job.workload is Workload.CRASH:
        _run(replace(job, part=Part.BEFORE), kill_at=READY_TO_DIE)
        job = replace(job, part=Part.AFTER)
    marks = _run(job)
    if FIGURES not in marks.texts:
        raise RunFailed("it ended without figures")
    answer: dict[str, Any] = json.loads(marks.texts[FIGURES])
    figures: Figures = answer["figures"]
    if FIRST_RESULT in marks.moments:
        figures["first_result_s"] = marks.moments[FIRST_RESULT]
    return figures, answer["versions"]


def _run(job: Job, kill_at: str | None = None) -> _Marks:
    """Run to the end, or to the mark at which the process and all below it are killed. Raises RunFailed."""
    command = [KINDS[job.engine].python(sys.executable), "-m", "benchmarks.measuring_process", job.to_text()]
    environment = own_environment() if KINDS[job.engine].environment is None else dict(os.environ)
    marks = _Marks({}, {})
    limit = OWN_RUN_SECONDS_MAX if job.engine == OURS else RUN_SECONDS_MAX
    log_path = job.folder / f"{job.part.value}.log"
    with log_path.open("wb") as log:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    late = threading.Timer(limit, _kill_session, [process])
    late.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            word, _, text = line.strip().partition(" ")
            marks.texts[word] = text
            marks.moments[word] = time.perf_counter() - begun
            if word == kill_at:
                return marks
        code = process.wait()
    finally:
        late.cancel()
        _kill_session(process)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    if code == -signal.SIGKILL:
        raise RunFailed(f"not done in {limit:.0f} s")
    if code != 0:
        lines = log_path.read_text(errors="replace").strip().splitlines()[-LOG_LINES:]
        raise RunFailed(f"ended with code {code}: {' | '.join(line.strip() for line in lines)}")
    if kill_at is not None:
        raise RunFailed("it ended before it could be killed")
    return marks


def _kill_session(process: "subprocess.Popen[str]") -> None:
    """SIGKILL the process and what it started: they are a session of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
