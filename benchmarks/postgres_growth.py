"""``python -m benchmarks.postgres_growth [--keep]``: one hub, worked on by 1, 2 and 4 processes.

Each process starts orchestrations of A under random ids, so that all but its share of them run elsewhere, and waits for
their ends. Processes share their cores with the server: look at the processor time, too.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from benchmarks.engines.engine import Engine
from benchmarks.engines.perdure import PerdureEngine
from benchmarks.engines.postgres import Postgres
from benchmarks.host_process import own_environment
from benchmarks.machine import ROOT, read_machine, read_source
from benchmarks.measuring import cpu_seconds

WORK = Path(__file__).resolve().parent / ".runs"
COUNTS = (1, 2, 4)
BALANCE_SECONDS = 8.0
"""Two renewals: until each has its share of the partitions."""
LATENCIES = 50


class Joined(PerdureEngine):
    """One process more on a hub."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self._url = url

    def store(self) -> str:
        return self._url


@dataclass(frozen=True, slots=True)
class Run:
    """Of so many processes together."""

    processes: int
    orchestrations_per_s: float
    process_us: float
    server_us: float
    single_ms: float
    """Median of an orchestration of one activity, one at a time, seen by one of them."""


def measure(count: int, orchestrations: int, folder: Path) -> Run:
    """One run on a fresh cluster."""
    engine = Engine(folder)
    postgres = Postgres(engine)
    url = postgres.start()
    processes: list[subprocess.Popen[str]] = []
    try:
        for number in range(count):
            own = folder / f"host{number}"
            own.mkdir()
            command = [sys.executable, "-m", "benchmarks.postgres_growth", "--joins", url, "--folder", str(own)]
            processes.append(
                subprocess.Popen(
                    [*command, "--orchestrations", str(orchestrations // count)],
                    cwd=ROOT,
                    env=own_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
        _all_say(processes, "READY")
        time.sleep(BALANCE_SECONDS)
        pids, servers = [process.pid for process in processes], [server.pid for server in engine.servers]
        used, server_used, begun = cpu_seconds(pids), cpu_seconds(servers), time.perf_counter()
        _tell(processes, "A")
        _all_say(processes, "DONE")
        seconds = time.perf_counter() - begun
        used, server_used = cpu_seconds(pids) - used, cpu_seconds(servers) - server_used
        _tell(processes[:1], "C")
        latency = float(_says(processes[0], "LATENCY"))
        _tell(processes, "END")
        for process in processes:
            process.wait(30)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        postgres.stop()
    each = 1e6 / orchestrations
    return Run(count, orchestrations / seconds, used * each, server_used * each, latency)


def _tell(processes: Sequence["subprocess.Popen[str]"], word: str) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{word}\n")
        process.stdin.flush()


def _all_say(processes: Sequence["subprocess.Popen[str]"], word: str) -> None:
    for process in processes:
        _says(process, word)


def _says(process: "subprocess.Popen[str]", word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        said, _, rest = line.strip().partition(" ")
        if said == word:
            return rest
    raise SystemExit(f"A process ended with {process.wait()} before it said {word}.")


async def _join(url: str, folder: Path, orchestrations: int) -> None:
    engine = Joined(folder, url)
    await engine.start()
    await engine.sequences(20)
    print("READY", flush=True)
    loop = asyncio.get_running_loop()
    while (word := (await loop.run_in_executor(None, sys.stdin.readline)).strip()) not in ("END", ""):
        if word == "A":
            await engine.sequences(orchestrations)
            print("DONE", flush=True)
        else:
            took: list[float] = []
            for _ in range(LATENCIES):
                begun = loop.time()
                await engine.single()
                took.append(loop.time() - begun)
            print(f"LATENCY {median(took) * 1e3}", flush=True)
    await engine.stop()
    sys.stdout.flush()
    os._exit(0)


def report(runs: Sequence[Run], orchestrations: int, source: str) -> str:
    """As Markdown: medians."""
    machine = read_machine(WORK)
    lines = [
        f"# Growth with processes on one PostgreSQL hub, {date.today().isoformat()}",
        "",
        f"Commit {source}; `python -m benchmarks.postgres_growth`. {machine['cores']} x {machine['processor']}, which "
        f"the processes and the server share; load {machine['load_1m_at_start']} at the end. {orchestrations:,} "
        "orchestrations of 5 activities, started evenly by all processes under random ids. Medians.",
        "",
        "| processes | orchestrations/s | µs of the processes each | µs of the server each | alone, one activity: ms |",
        "|---|---|---|---|---|",
    ]
    for count in sorted({run.processes for run in runs}):
        of = [run for run in runs if run.processes == count]
        cells = [
            f"{median(run.orchestrations_per_s for run in of):,.0f}",
            f"{median(run.process_us for run in of):,.0f}",
            f"{median(run.server_us for run in of):,.0f}",
            f"{median(run.single_ms for run in of):,.2f}",
        ]
        lines.append(f"| {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command, and with ``--joins`` one of its processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postgres_growth", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the report in benchmarks/results/")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orchestrations", type=int, default=4000)
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)), help="how many processes, of each run")
    parser.add_argument("--joins", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.joins:
        with asyncio.Runner(loop_factory=Joined(given.folder, given.joins).new_loop) as runner:
            runner.run(_join(given.joins, given.folder, given.orchestrations))
        return 0
    WORK.mkdir(exist_ok=True)
    source = read_source()
    runs: list[Run] = []
    for _ in range(given.rounds):
        for count in map(int, given.counts.split(",")):
            with tempfile.TemporaryDirectory(dir=WORK, ignore_cleanup_errors=True) as folder:
                runs.append(measure(count, given.orchestrations, Path(folder)))
            print(json.dumps({name: getattr(runs[-1], name) for name in Run.__slots__}), flush=True)
    text = report(runs, given.orchestrations, source.short + (" with changes" if source.changed else ""))
    print(text)
    if given.keep:
        path = Path(__file__).parent / "results" / f"postgres-growth-{date.today().isoformat()}-{source.short}.md"
        path.write_text(text)
        print(f"kept: {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
