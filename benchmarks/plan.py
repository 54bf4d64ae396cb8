"""Which workload runs at which size on which engine."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.arguments import OURS, Arguments
from benchmarks.engines import KINDS, Door
from benchmarks.job import Workload

TITLES = {
    Workload.SEQUENCE: "A sequence: orchestrations of 5 activities, all started at once",
    Workload.FAN_OUT: "B fan-out: one orchestration, parallel activities",
    Workload.LATENCY: "C latency: one orchestration of one activity at a time",
    Workload.RESIDENT: "D resident: one idle host, and its first result",
    Workload.SIXTY: "D2 what an app of 60 functions adds to D, and one of 60 folders in the v1 model",
    Workload.LONG: "E long history: one orchestration, activities one after another",
    Workload.WAITING: "F waiting: instances that wait for an event",
    Workload.CRASH: "Crash: instances wait, kill -9, start again, release them",
}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One workload at its sizes: engine → size. Its engines are measured in turns."""

    key: str
    workload: Workload
    sizes: Mapping[str, int]
    door: Door = Door.PROCESS


def make_plan(arguments: Arguments) -> list[Measurement]:
    """All measurements the arguments ask for, in order."""
    engines = (OURS, *(name for name in arguments.peers if KINDS[name].door is Door.PROCESS))
    small = tuple(name for name in engines if name.startswith("dbos"))
    """Engines on which the big sizes would take minutes and tell nothing more."""

    def same(workload: Workload, size: int, among: tuple[str, ...] = engines) -> Measurement:
        return Measurement(f"{workload.value} {size:,}", workload, dict.fromkeys(among, size))

    def sized(workload: Workload, size: int, small_size: int) -> Measurement:
        sizes = {name: small_size if name in small else size for name in engines}
        return Measurement(f"{workload.value} {size:,}", workload, sizes)

    fast = tuple(name for name in engines if name not in small)
    if arguments.quick:
        plan = [
            sized(Workload.SEQUENCE, 500, 100),
            same(Workload.FAN_OUT, 1000),
            same(Workload.LATENCY, 50),
            same(Workload.RESIDENT, 1),
            same(Workload.SIXTY, 60, (OURS,)),
            same(Workload.LONG, 500),
            sized(Workload.WAITING, 1000, 100),
            same(Workload.CRASH, 20),
        ]
    else:
        plan = [
            sized(Workload.SEQUENCE, 3000, 300),
            same(Workload.FAN_OUT, 1000),
            same(Workload.FAN_OUT, 10_000, fast),
            same(Workload.LATENCY, 200),
            same(Workload.RESIDENT, 1),
            same(Workload.SIXTY, 60, (OURS,)),
            same(Workload.LONG, 2000),
            same(Workload.LONG, 5000, fast),
            sized(Workload.WAITING, 10_000, 300),
            same(Workload.CRASH, 20),
            same(Workload.CRASH, 10_000, fast),
        ]
    if arguments.long:
        plan += [same(Workload.FAN_OUT, 100_000, (OURS,)), same(Workload.LONG, 50_000, (OURS,))]
    plan += _through_grpc(arguments)
    order = list(Workload)
    chosen = [measurement for measurement in plan if measurement.workload in arguments.only]
    return sorted(chosen, key=lambda measurement: order.index(measurement.workload))


def _through_grpc(arguments: Arguments) -> list[Measurement]:
    chosen = tuple(name for name in arguments.peers if KINDS[name].door is Door.GRPC)
    whole = tuple(name for name in chosen if not KINDS[name].is_empty)

    def same(workload: Workload, size: int, among: tuple[str, ...] = whole) -> Measurement:
        return Measurement(f"{workload.value} gRPC {size:,}", workload, dict.fromkeys(among, size), Door.GRPC)

    if arguments.quick:
        plan = [
            same(Workload.SEQUENCE, 200, chosen),
            same(Workload.FAN_OUT, 1000, chosen),
            same(Workload.LATENCY, 50),
            same(Workload.RESIDENT, 1),
            same(Workload.LONG, 200),
            same(Workload.WAITING, 200),
        ]
    else:
        plan = [
            same(Workload.SEQUENCE, 1000, chosen),
            same(Workload.FAN_OUT, 1000, chosen),
            same(Workload.FAN_OUT, 10_000, chosen),
            same(Workload.LATENCY, 200),
            same(Workload.RESIDENT, 1),
            same(Workload.LONG, 1000),
            same(Workload.WAITING, 2000),
        ]
    return [measurement for measurement in plan if measurement.sizes]
