"""The command line of the benchmark."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engines import KINDS
from benchmarks.job import Workload

OURS = "perdure"
PEERS = tuple(name for name in KINDS if name != OURS)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the user asked for."""

    only: frozenset[Workload]
    peers: tuple[str, ...]
    rounds: int
    quick: bool
    long: bool
    keep: bool
    profile: Workload | None
    work: Path


def read_arguments(texts: Sequence[str]) -> Arguments:
    """Parse. Ends the process with code 2 and a message when something is wrong with them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Workloads A to F, crash and recovery, against perdure and its peers."
    )
    letters = [workload.value for workload in Workload]
    parser.add_argument(
        "--only", metavar="LIST", default=",".join(letters), help=f"workloads, of {', '.join(letters)} (default: all)"
    )
    parser.add_argument(
        "--peers", metavar="LIST", default=",".join(PEERS), help=f"of {', '.join(PEERS)}, or none (default: all)"
    )
    parser.add_argument("--rounds", type=int, help="how often each is measured (default: 3; with --quick: 1)")
    parser.add_argument("--quick", action="store_true", help="small sizes, once: to see that all runs, not to judge")
    parser.add_argument("--long", action="store_true", help="also 100,000 activities at once and 50,000 in a row")
    parser.add_argument("--keep", action="store_true", help="keep the report and the raw values in benchmarks/results/")
    parser.add_argument("--profile", metavar="WORKLOAD", help="show where perdure spends its time in one workload")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(__file__).resolve().parent / ".runs",
        help="folder for the engines' state; must be on a real disk (default: benchmarks/.runs)",
    )
    given = parser.parse_args(texts)
    rounds = given.rounds if given.rounds is not None else 1 if given.quick else 3
    if rounds < 1:
        parser.error(f"--rounds must be 1 or more, not {rounds}")
    return Arguments(
        only=frozenset(_workload(parser, text) for text in _listed(given.only)),
        peers=_peers(parser, given.peers),
        rounds=rounds,
        quick=given.quick,
        long=given.long,
        keep=given.keep,
        profile=None if given.profile is None else _profiled(parser, given.profile),
        work=given.work.resolve(),
    )


def _listed(text: str) -> list[str]:
    return [part for part in text.replace(",", " ").split() if part]


def _workload(parser: argparse.ArgumentParser, text: str) -> Workload:
    by_letter = {workload.value.lower(): workload for workload in Workload}
    if text.lower() not in by_letter:
        parser.error(f"there is no workload '{text}'; there are {', '.join(w.value for w in Workload)}")
    return by_letter[text.lower()]


def _profiled(parser: argparse.ArgumentParser, text: str) -> Workload:
    workload = _workload(parser, text)
    if workload in (Workload.RESIDENT, Workload.SIXTY, Workload.CRASH):
        parser.error(f"--profile takes A, B, C, E or F, not {workload.value}")
    return workload


def _peers(parser: argparse.ArgumentParser, text: str) -> tuple[str, ...]:
    names = _listed(text)
    if names == ["none"]:
        return ()
    for name in names:
        if name not in PEERS:
            parser.error(f"there is no peer '{name}'; there are {', '.join(PEERS)}, or none")
    return tuple(name for name in PEERS if name in names)
