"""``--profile``: where perdure spends its time in one workload, the loop's thread exactly and all threads sampled."""

import collections
import io
import pstats
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.arguments import OURS
from benchmarks.host_process import own_environment
from benchmarks.job import Job, Workload
from benchmarks.machine import ROOT

SIZES = {
    Workload.SEQUENCE: 10_000,
    Workload.FAN_OUT: 50_000,
    Workload.LATENCY: 2000,
    Workload.LONG: 5000,
    Workload.WAITING: 10_000,
}
FUNCTIONS = 30
SAMPLES_PER_SECOND = 500


def profile(workload: Workload, work: Path) -> str:
    """Both profiles as text. They slow the engine down, cProfile by half: read shares, not times."""
    parts = [f"# Loop's thread, cProfile: {workload.value} {SIZES[workload]:,}\n\n{_by_calls(workload, work)}"]
    sampler = _sampler()
    if sampler is None:
        parts.append("All threads: not sampled, py-spy is not installed (pip install py-spy).")
    else:
        parts.append(f"# All threads, py-spy, {SAMPLES_PER_SECOND} samples/s\n\n{_by_samples(sampler, workload, work)}")
    return "\n\n".join(parts)


def _by_calls(workload: Workload, work: Path) -> str:
    folder = Path(tempfile.mkdtemp(prefix="profile-", dir=work))
    stats = folder / "stats"
    try:
        _run([], Job(OURS, workload, SIZES[workload], folder, profile=stats))
        text = io.StringIO()
        found = pstats.Stats(str(stats), stream=text)
        for order in ("tottime", "cumulative"):
            found.sort_stats(order).print_stats(FUNCTIONS)
        return text.getvalue().replace(f"{ROOT}/", "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _by_samples(sampler: str, workload: Workload, work: Path) -> str:
    folder = Path(tempfile.mkdtemp(prefix="profile-", dir=work))
    stacks = folder / "stacks"
    record = [sampler, "record", "--format", "raw", "--threads", "--gil", "--rate", str(SAMPLES_PER_SECOND)]
    try:
        _run([*record, "--output", str(stacks), "--"], Job(OURS, workload, SIZES[workload], folder))
        return _summary(stacks.read_text().splitlines())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _summary(lines: list[str]) -> str:
    """From ``frame;frame;… count`` lines: shares of threads, of functions with what they call, of functions alone."""
    threads: collections.Counter[str] = collections.Counter()
    whole: collections.Counter[str] = collections.Counter()
    innermost: collections.Counter[str] = collections.Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        thread, *frames = [_without_line(frame) for frame in stack.split(";")]
        if any("importlib" in frame for frame in frames) or not frames:
            # The start is not part of the workload.
            continue
        threads[thread] += int(count)
        innermost[f"{frames[-1]}  [{thread}]"] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    total = max(1, threads.total())
    shares = [f"{count / total:6.1%}  {name}" for name, count in threads.most_common(12)]
    for title, counted in (("With what they call:", whole), ("Alone:", innermost)):
        shares += ["", title]
        shares += [f"{count / total:6.1%}  {name}" for name, count in counted.most_common(FUNCTIONS)]
    return "\n".join(shares)


def _without_line(frame: str) -> str:
    """``function (file.py:12)`` → ``function (file.py)``; ``thread (123): name`` → ``name``."""
    if frame.startswith("thread ("):
        return frame.rpartition("): ")[2]
    return re.sub(r":\d+\)$", ")", frame)


def _run(wrapper: list[str], job: Job) -> None:
    command = [*wrapper, sys.executable, "-m", "benchmarks.measuring_process", job.to_text()]
    done = subprocess.run(command, cwd=ROOT, env=own_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"The profiled run ended with {done.returncode}:\n{done.stderr[-2000:]}")


def _sampler() -> str | None:
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")
