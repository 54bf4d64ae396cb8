"""What goes wrong between hosts and store in one run. Each kind is on with probability one half."""

import random
from typing import Any

KINDS = (
    "hosts crash",
    "hosts stand still",
    "hosts come and go",
    "hosts are cut off",
    "answers are lost",
    "the store goes away",
    "the store restarts",
    "clock jumps",
    "slow ways",
    "slow renewals",
    "hints are lost",
    "hints are late",
)


NO_TIME = "no time for offers"
"""Drawn apart from the other kinds: what is asked of offers is refused now and then, and nothing else."""
_OF_OFFERS = frozenset({"offer", "offer claimed", "claim offers", "finish offers", "give up offers", "withdraw"})


class Weather:
    """Implements ``Delays`` and ``HintFates``. Over once ``end`` was called."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"{seed} weather")
        self.kinds = frozenset(kind for kind in KINDS if self.chance.random() < 0.5)
        self._refusals = random.Random(f"{seed} refusals")
        if self._refusals.random() < 0.5:
            self.kinds |= {NO_TIME}
        self.is_over = False
        self.is_mute = False
        """Whether no hint arrives at all."""

    def has(self, kind: str) -> bool:
        return not self.is_over and kind in self.kinds

    def end(self) -> None:
        """Nothing goes wrong from here on."""
        self.is_over = True

    def seconds(self, operation: str) -> float:
        """One way to the store."""
        # Not two ways take exactly as long: what happens in the same microsecond is a rare chance, as it is outside.
        return self._about(operation) * self.chance.uniform(0.8, 1.2)

    def _about(self, operation: str) -> float:
        chance = self.chance
        if operation == "renew" and self.has("slow renewals") and chance.random() < 0.3:
            return chance.choice([1.0, 2.0, 4.0, 8.0])
        if self.has("slow ways") and chance.random() < 0.4:
            return chance.choice([0.001, 0.01, 0.2, 2.0])
        return chance.choice([0.0, 0.0002, 0.0002, 0.001])

    def refuses(self, operation: str) -> bool:
        """Whether the store has no time for one question."""
        return operation in _OF_OFFERS and self.has(NO_TIME) and self._refusals.random() < 0.2

    def arrivals(self) -> list[float]:
        """Of one hint."""
        chance = self.chance
        if self.is_mute or (self.has("hints are lost") and chance.random() < 0.4):
            return []
        late = self.has("hints are late") and chance.random() < 0.5
        copies = 2 if late and chance.random() < 0.3 else 1
        return [chance.choice([0.0, 0.005, 0.3, 5.0]) if late else 0.0002 for _ in range(copies)]

    def happens(self, kind: str, probability: float) -> bool:
        return self.has(kind) and self.chance.random() < probability

    def choose(self, *choices: Any) -> Any:
        return self.chance.choice(choices)
