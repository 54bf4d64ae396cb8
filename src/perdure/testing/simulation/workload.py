"""What clients do in one run: generated programs, and scripts that start, steer and ask."""

import random
from dataclasses import dataclass
from typing import Any

from perdure.contracts.records import ReusePolicy
from perdure.testing.simulation.programs import PROGRAM_NAMES, Statement

EVENTS = ("go", "Go", "stop")
LEDGERS: tuple[str, ...] = ("a", "b", "last")

Step = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """One client: its name and its steps, each a tuple that begins with its kind."""

    client: str
    steps: tuple[Step, ...]


class Workload:
    """Draws programs and scripts."""

    def __init__(self, chance: random.Random, reuse: ReusePolicy) -> None:
        self._chance = chance
        self._ids = [f"order-{number}" for number in range(chance.randint(2, 6))]
        # A child that gives way to a start never answers its parent, so where that may happen children have other ids.
        self._child_ids: list[str] = self._ids if reuse is ReusePolicy.NON_RUNNING else []

    def scripts(self) -> list[Script]:
        """The clients of one run."""
        return [Script(f"client-{number}", self._script()) for number in range(self._chance.randint(2, 5))]

    def _script(self) -> tuple[Step, ...]:
        steps: list[Step] = [self._start(self._chance.choice(self._ids))]
        for _ in range(self._chance.randint(2, 9)):
            steps.append(("pause", self._chance.choice([0.0, 0.0, 0.001, 0.05, 1.0, 7.0])))
            steps.append(self._step())
        return tuple(steps)

    def _step(self) -> Step:
        chance = self._chance
        instance_id = chance.choice(self._ids)
        kind = chance.choices(
            [
                "start",
                "raise",
                "signal",
                "suspend",
                "resume",
                "flicker",
                "terminate",
                "wait",
                "get",
                "purge",
                "unknown",
                "clean",
                "rewind",
                "restart",
            ],
            [10, 8, 4, 3, 3, 2, 1.5, 1, 2, 1, 0.3, 1, 5, 1],
        )[0]
        match kind:
            case "start":
                return self._start(instance_id)
            case "raise":
                return ("raise", instance_id, chance.choice(EVENTS))
            case "signal":
                delay = chance.choice([None, None, 3.0, 45.0])
                operation = chance.choice(["add", "add", "pass_on", "refuse"])
                return ("signal", chance.choice(LEDGERS), operation, delay)
            case "terminate":
                return ("terminate", instance_id, chance.random() < 0.5)
            case "wait":
                return ("wait", instance_id, chance.choice([0.5, 20.0]))
            case "clean":
                return (kind,)
            case "restart":
                return (kind, instance_id, chance.random() < 0.5)
            case "unknown":
                return ("start", instance_id, "no_such_program", {"program": []}, None)
            case _:
                return (kind, instance_id)

    def _start(self, instance_id: str) -> Step:
        chance = self._chance
        given = {"program": self._program(2), "rounds_left": chance.choice([0, 0, 1, 3])}
        delay = chance.choice([None, None, None, 5.0, 90.0])
        # Without an id of its own it gets one that nobody else uses.
        return ("start", chance.choice([instance_id, instance_id, None]), self._name(), given, delay)

    def _name(self) -> str:
        return self._chance.choice(PROGRAM_NAMES)

    def _program(self, depth: int) -> list[Statement]:
        program = [self._statement(depth) for _ in range(self._chance.randint(1, 5))]
        if depth == 2:
            program.append(["again"])
        return program

    def _statement(self, depth: int) -> Statement:
        chance = self._chance
        kind = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        if depth == 0 and kind in ("child", "children", "stray"):
            kind = "activity"
        match kind:
            case "fan" | "drain" | "shaky" | "abandon":
                return [kind, chance.randint(1, 4)]
            case "retry":
                return [kind, chance.randint(1, 3), chance.choice([0.5, 10.0])]
            case "timer":
                return [kind, chance.choice([-1.0, 0.0, 0.5, 8.0, 70.0, 200.0])]
            case "event":
                return [kind, chance.choice(EVENTS)]
            case "race":
                return [kind, chance.choice(EVENTS), chance.choice([0.2, 5.0, 100.0])]
            case "child":
                child_id = chance.choice([None, None, None, *self._child_ids])
                return [kind, self._name(), child_id, self._program(depth - 1)]
            case "children":
                return [kind, self._name(), [self._program(depth - 1) for _ in range(chance.randint(1, 3))]]
            case "stray":
                return [kind, self._name(), self._program(depth - 1)]
            case "call":
                return [kind, chance.choice(LEDGERS), chance.choice(["add", "add", "pass_on", "refuse"])]
            case "section":
                keys = chance.sample(LEDGERS, chance.randint(1, len(LEDGERS)))
                return [kind, keys, [self._in_section(keys) for _ in range(chance.randint(0, 3))]]
            case "signal":
                return [kind, chance.choice(LEDGERS), "add", chance.choice([None, None, 0.0, 2.0, 40.0])]
            case "send":
                return [kind, chance.choice(self._ids), chance.choice(EVENTS)]
            case "status":
                return [kind, chance.randint(0, 9)]
            case _:
                return [kind]

    def _in_section(self, keys: list[str]) -> Statement:
        chance = self._chance
        kind = chance.choices(["call", "activity", "shaky", "timer", "event", "again", "fail"], [8, 2, 1, 2, 1, 1, 0.5])
        match kind[0]:
            case "call":
                return ["call", chance.choice(keys), chance.choice(["add", "add", "pass_on", "refuse"])]
            case "shaky":
                return ["shaky", 2]
            case "timer":
                return ["timer", chance.choice([0.0, 0.5, 20.0])]
            case "event":
                return ["event", chance.choice(EVENTS)]
            case other:
                return [other]


_WEIGHTS = {
    "activity": 8, "fan": 4, "drain": 2, "shaky": 2, "retry": 3, "timer": 5, "event": 4, "race": 4, "child": 3,
    "children": 1.5, "stray": 1, "abandon": 2, "call": 4, "section": 4, "signal": 4, "send": 3, "status": 2,
    "fail": 0.7,
}  # fmt: skip
