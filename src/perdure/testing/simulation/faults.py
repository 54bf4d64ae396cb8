"""What goes wrong in one run. Each kind is on with probability one half: some runs have few kinds and go deep."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from perdure.contracts.errors import Overloaded, StorageError, StoreFull, Unavailable
from perdure.contracts.executor import OrchestrationTurn, Turn
from perdure.contracts.records import PendingActivity
from perdure.core.decisions import DecisionLimits
from perdure.core.events import ExecutionStarted
from perdure.core.versioning import Versioning
from perdure.engine.live_instances import LiveLimits
from perdure.engine.options import EngineOptions
from perdure.testing.faulty_storage import CommitFate

KINDS = (
    "crash before commit",
    "crash after commit",
    "crash at any time",
    "graceful restarts",
    "store errors",
    "read errors",
    "slow store",
    "slow turns",
    "slow activities",
    "repeated due rows",
    "clock jumps",
    "tiny cache",
    "tiny rounds",
    "near horizon",
    "small entity batches",
)

STUCK = "stuck turns"
"""Drawn apart from the other kinds, in one of four runs: code that does not return is given up and tried again."""
STUCK_SECONDS = 25.0
"""When it is given up."""
STUCK_MAX = 4
"""Five in a row would condemn the instance."""

AWAY = "workers away"
"""Drawn apart, too, in one of three runs: all code runs at workers of other processes, late, twice and in parts."""

SMALL = "small transactions"
"""Drawn apart, too, in one of four runs: most rounds are too large for one transaction."""

CRASHES_MAX = 6
_WRITES = frozenset({"commit", "send", "create", "purge"})


@dataclass
class Faults:
    """Implements ``FaultSchedule``; also how long turns and activities take. Over once ``end`` was called."""

    chance: random.Random
    kinds: frozenset[str]
    crashes_left: int = CRASHES_MAX
    stuck_chance: random.Random = field(default_factory=random.Random)
    away_chance: random.Random = field(default_factory=random.Random)
    is_over: bool = False
    crash_count: int = 0
    stop_count: int = 0
    error_count: int = 0
    late_turn_count: int = 0
    stuck_turn_count: int = 0
    lost_result_count: int = 0
    _good_run: int = field(default=0, init=False)
    _good_left: int = field(default=0, init=False)
    _bad_left: int = field(default=0, init=False)

    @classmethod
    def drawn(cls, seed: int) -> "Faults":
        """Decide the kinds of a run."""
        chance, stuck_chance = random.Random(f"{seed} faults"), random.Random(f"{seed} stuck turns")
        kinds = frozenset(kind for kind in KINDS if chance.random() < 0.5)
        away_chance = random.Random(f"{seed} workers away")
        if stuck_chance.random() < 0.25:
            kinds |= {STUCK}
        if away_chance.random() < 0.33:
            kinds |= {AWAY}
        if random.Random(f"{seed} small transactions").random() < 0.25:
            kinds |= {SMALL}
        return cls(chance, kinds, stuck_chance=stuck_chance, away_chance=away_chance)

    def end(self) -> None:
        """Nothing goes wrong from here on."""
        self.is_over = True

    def has(self, kind: str) -> bool:
        return not self.is_over and kind in self.kinds

    def options(self) -> EngineOptions:
        """The engine's bounds, tiny or not."""
        has, chance = self.kinds.__contains__, self.chance
        options = EngineOptions(
            DecisionLimits(),
            Versioning(),
            live=LiveLimits(instances_max=chance.choice([0, 1, 2]) if has("tiny cache") else 10_000),
            entity_batch_max=chance.choice([1, 2]) if has("small entity batches") else 5000,
            turns_per_round=chance.choice([1, 2]) if has("tiny rounds") else 256,
            horizon=timedelta(seconds=chance.choice([4, 20, 60])) if has("near horizon") else timedelta(hours=1),
        )
        return msgspec.structs.replace(options, transaction_characters=2) if has(SMALL) else options

    # FaultSchedule

    def seconds(self, operation: str) -> float:
        if not self.has("slow store") or self.chance.random() < 0.6:
            return 0.0
        return self.chance.choice([0.0002, 0.001, 0.01, 0.2, 2.0 if operation in _WRITES else 0.05])

    def error(self, operation: str) -> StorageError | None:
        if operation not in _WRITES:
            return self._read_error()
        if not self.has("store errors"):
            return None
        if self._good_left > 0:
            self._good_left -= 1
            return None
        if self._bad_left == 0:
            # First every access fails at once, then after one good one, then after two, …
            self._bad_left = self.chance.randint(1, 3)
        self._bad_left -= 1
        if self._bad_left == 0:
            self._good_run += 1
            self._good_left = self._good_run
        self.error_count += 1
        kinds: list[type[StorageError]] = [Unavailable, StoreFull]
        if operation != "commit":
            kinds.append(Overloaded)
        return self.chance.choice(kinds)("injected")

    def _read_error(self) -> StorageError | None:
        if not self.has("read errors") or self.chance.random() < 0.9:
            return None
        self.error_count += 1
        return Unavailable("injected")

    def fate(self) -> CommitFate:
        for kind, fate in (
            ("crash before commit", CommitFate.CRASH_BEFORE),
            ("crash after commit", CommitFate.CRASH_AFTER),
        ):
            if self.has(kind) and self.crashes_left and self.chance.random() < 0.03:
                return fate
        return CommitFate.FINE

    def repeats_due_rows(self) -> bool:
        return self.has("repeated due rows")

    # Executor

    def turn_seconds(self, turn: Turn) -> float:
        """How long a turn's code takes."""
        if self.has(STUCK) and self.stuck_turn_count < STUCK_MAX and self.stuck_chance.random() < 0.05:
            self.stuck_turn_count += 1
            return STUCK_SECONDS
        if not self.has("slow turns") or self.chance.random() < 0.7:
            return 0.0
        seconds = self.chance.choice([0.005, 0.05, 0.5, 8.0])
        self.late_turn_count += seconds > 0.02
        return seconds

    def activity_seconds(self, activity: PendingActivity) -> float:
        """How long an activity takes."""
        if not self.has("slow activities"):
            return self.chance.choice([0.0, 0.0, 0.001])
        return self.chance.choice([0.0, 0.01, 0.3, 3.0, 30.0])

    # AwayWork

    def waits(self) -> float:
        """Until a worker takes a turn."""
        return self.away_chance.choice([0.0, 0.0, 0.02] if self.is_over else [0.0, 0.001, 0.3, 5.0, 40.0])

    def works(self) -> float:
        """So long a worker has it."""
        return 0.0 if self.is_over else self.away_chance.choice([0.0, 0.0, 0.005, 0.5, 8.0])

    def vanishes(self) -> bool:
        """Whether a worker is gone with what it has done."""
        is_lost = not self.is_over and self.away_chance.random() < 0.08
        self.lost_result_count += is_lost
        return is_lost

    def takes(self, turn: Turn, count: int) -> int:
        """How much of a turn a worker takes."""
        if self.is_over or self.away_chance.random() < 0.7:
            return count
        if isinstance(turn, OrchestrationTurn) and isinstance(turn.events[1], ExecutionStarted):
            # What comes with a start is part of it, and sent again when it is not taken: no history tells that.
            return count
        return self.away_chance.randint(1, count)

    def tells(self, awaited: tuple[str, ...]) -> tuple[str, ...]:
        """All, so that the run can be brought to its end."""
        return awaited
