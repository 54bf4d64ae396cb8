"""``python -m benchmarks.measuring_process JOB``: one workload against one engine, in the engine's environment.

Lines on stdout that begin with a word of ``MARKS`` are for the command that started it.
"""

import asyncio
import cProfile
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

from benchmarks.engines import engine_class
from benchmarks.engines.engine import Engine
from benchmarks.job import Figures, Job, Part, Workload, read_job
from benchmarks.measuring import PeakMemory, cpu_seconds, memory_mb, percentile

FIRST_RESULT, READY_TO_DIE, FIGURES = "FIRST_RESULT", "READY_TO_DIE", "FIGURES"
MARKS = (FIRST_RESULT, READY_TO_DIE, FIGURES)
IDLE_SECONDS = 1.0
CPU_SECONDS = 5.0
WARM_UP_SEQUENCES, WARM_UP_SINGLES = 50, 20


async def _sequence(engine: Engine, job: Job) -> Figures:
    await engine.sequences(WARM_UP_SEQUENCES)
    used = _work_cpu(engine)
    with PeakMemory(engine.pids()) as peak, _Profile(job):
        seconds = await _timed(engine.sequences(job.size))
    return {
        **_per_item(engine, used, job.size * engine.items_per_sequence),
        "seconds": seconds,
        "orchestrations_per_s": job.size / seconds,
        "activities_per_s": 5 * job.size / seconds,
        "peak_mb": peak.mb,
    }


async def _fan_out(engine: Engine, job: Job) -> Figures:
    used = _work_cpu(engine)
    with PeakMemory(engine.pids()) as peak, _Profile(job):
        seconds = await _timed(engine.fan_out(job.size))
    # Its few turns are not counted as items; what they cost is.
    return {
        **_per_item(engine, used, job.size),
        "seconds": seconds,
        "activities_per_s": job.size / seconds,
        "peak_mb": peak.mb,
    }


def _work_cpu(engine: Engine) -> tuple[float, float]:
    return engine.work_cpu_seconds() if engine.items_per_sequence else (0.0, 0.0)


def _per_item(engine: Engine, before: tuple[float, float], items: int) -> Figures:
    if not engine.items_per_sequence:
        return {}
    server, worker = ((now - then) / items * 1e6 for now, then in zip(engine.work_cpu_seconds(), before, strict=True))
    return {"server_us_per_item": server, "worker_us_per_item": worker}


async def _latency(engine: Engine, job: Job) -> Figures:
    for _ in range(WARM_UP_SINGLES):
        await engine.single()
    with _Profile(job):
        latencies = [await _timed(engine.single()) * 1e3 for _ in range(job.size)]
    p50, p95, p99 = (percentile(latencies, percent) for percent in (50, 95, 99))
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "p99_to_p50": p99 / p50}


async def _long(engine: Engine, job: Job) -> Figures:
    moments: list[float] = []

    async def run() -> None:
        moments.extend(await engine.long(job.size))

    with PeakMemory(engine.pids()) as peak, _Profile(job):
        seconds = await _timed(run())
    spans = len(moments) - 1
    tenth = max(1, spans // 10)
    steps_of_tenth = tenth * (job.size - 1) / spans
    first = (moments[tenth] - moments[0]) / steps_of_tenth * 1e3
    last = (moments[-1] - moments[-1 - tenth]) / steps_of_tenth * 1e3
    return {
        "seconds": seconds,
        "ms_per_step": seconds / job.size * 1e3,
        "first_tenth_ms": first,
        "last_tenth_ms": last,
        "last_to_first": last / first,
        "peak_mb": peak.mb,
    }


async def _waiting(engine: Engine, job: Job) -> Figures:
    pids = engine.pids()
    before = memory_mb(pids)
    with _Profile(job):
        creating = await _timed(engine.create_waiting(job.size))
    at_once = memory_mb(pids)
    await asyncio.sleep(job.rest_seconds)
    used = cpu_seconds(pids)
    await asyncio.sleep(CPU_SECONDS)
    used = cpu_seconds(pids) - used
    waiting = memory_mb(pids)
    releasing = await _timed(engine.release_waiting(job.size))
    return {
        "created_per_s": job.size / creating,
        "added_mb": waiting - before,
        "added_at_once_mb": at_once - before,
        "cpu_percent": used / CPU_SECONDS * 100,
        "released_per_s": job.size / releasing,
    }


_WORKLOADS: dict[Workload, Callable[[Engine, Job], Awaitable[Figures]]] = {
    Workload.SEQUENCE: _sequence,
    Workload.FAN_OUT: _fan_out,
    Workload.LATENCY: _latency,
    Workload.LONG: _long,
    Workload.WAITING: _waiting,
}


async def _resident(engine: Engine) -> Figures:
    await engine.start()
    await engine.single()
    _mark(FIRST_RESULT)
    await asyncio.sleep(IDLE_SECONDS)
    figures = {"idle_mb": memory_mb(engine.pids())}
    await engine.stop()
    return figures


async def _before_crash(engine: Engine, job: Job) -> None:
    await engine.start()
    await engine.single()
    await engine.create_waiting(job.size)
    _mark(READY_TO_DIE)
    await asyncio.sleep(600)


async def _after_crash(engine: Engine, job: Job) -> Figures:
    begun = time.perf_counter()
    await engine.start()
    await engine.single()
    ready = time.perf_counter() - begun
    _mark(FIRST_RESULT)
    releasing = await _timed(engine.release_waiting(job.size))
    await engine.stop()
    return {"ready_s": ready, "release_s": releasing, "survived": job.size}


async def _run(engine: Engine, job: Job) -> Figures | None:
    if job.workload is Workload.RESIDENT:
        return await _resident(engine)
    if job.part is Part.BEFORE:
        await _before_crash(engine, job)
        return None
    if job.part is Part.AFTER:
        return await _after_crash(engine, job)
    await engine.start()
    await engine.single()
    figures = await _WORKLOADS[job.workload](engine, job)
    await engine.stop()
    return figures


class _Profile:
    """Profiles the loop's thread while it is entered, when the job asks for it."""

    def __init__(self, job: Job) -> None:
        self._path = job.profile
        self._profile = cProfile.Profile() if job.profile is not None else None

    def __enter__(self) -> None:
        if self._profile is not None:
            self._profile.enable()

    def __exit__(self, *_: object) -> None:
        if self._profile is not None:
            self._profile.disable()
            self._profile.dump_stats(str(self._path))


async def _timed(what: Awaitable[None]) -> float:
    begun = time.perf_counter()
    await what
    return time.perf_counter() - begun


def _mark(mark: str, text: str = "") -> None:
    print(mark, text, flush=True)


def main() -> None:
    """Run the job of the first argument. A failure is a traceback and exit code 1."""
    job = read_job(sys.argv[1])
    engine: Engine = engine_class(job.engine)(job.folder)
    with asyncio.Runner(loop_factory=getattr(engine, "new_loop", None)) as runner:
        try:
            figures = runner.run(_run(engine, job))
        except BaseException:
            runner.run(Engine.stop(engine))
            raise
    if figures is not None:
        _mark(FIGURES, json.dumps({"figures": figures, "versions": engine.versions()}))
    # Threads that a peer leaves behind must not hold the process.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
