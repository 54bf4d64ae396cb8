"""Functions for workers that are killed and servers that go away; what ran is marked in a file."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from stage import ACTIVITIES, ENTITIES, ORCHESTRATORS

from durabletask import entities, task

FOLDER = Path(os.environ.get("MARKS", "."))
TALLY = entities.EntityInstanceId("tally", "all")


def mark(text: str) -> None:
    """A line that is there when the call returns, whatever becomes of this process."""
    with (FOLDER / "marks").open("a") as file:
        file.write(f"{os.getpid()} {text}\n")


def marked(ctx: task.ActivityContext, text: str) -> str:
    mark(text)
    return text


def stuck(ctx: task.ActivityContext, text: str) -> int:
    """Ends once there is a file named ``go``."""
    mark(text)
    while not (FOLDER / "go").exists():
        time.sleep(0.02)
    return os.getpid()


def calls_stuck(ctx: task.OrchestrationContext, text: str) -> Any:
    return (yield ctx.call_activity(stuck, input=text))


def stuck_itself(ctx: task.OrchestrationContext, text: str) -> Any:
    yield ctx.call_activity(marked, input=f"{text} begins")
    mark(f"{text} turns")
    while not (FOLDER / "go").exists():
        time.sleep(0.02)
    return (yield ctx.call_activity(marked, input=text))


def shares(ctx: task.OrchestrationContext, count: int) -> Any:
    return len((yield task.when_all([ctx.call_activity(marked, input=str(n)) for n in range(count)])))


def tally(ctx: entities.EntityContext, n: int) -> int:
    total = ctx.get_state(int, 0) + n
    ctx.set_state(total)
    return total


def child(ctx: task.OrchestrationContext, name: str) -> Any:
    yield ctx.create_timer(timedelta(milliseconds=100))
    return (yield ctx.call_activity(marked, input=f"{name} below"))


def everything(ctx: task.OrchestrationContext, name: str) -> Any:
    first = yield ctx.call_activity(marked, input=f"{name} first")
    below = yield ctx.call_sub_orchestrator(child, input=name)
    with (yield ctx.lock_entities([TALLY])):
        yield ctx.call_entity(TALLY, "add", 1)
    fanned = yield task.when_all([ctx.call_activity(marked, input=f"{name} {n}") for n in range(5)])
    ctx.signal_entity(TALLY, "add", 100)
    yield ctx.create_timer(timedelta(milliseconds=200))
    return [first, below, len(fanned)]


def waits(ctx: task.OrchestrationContext, name: str) -> Any:
    ctx.set_custom_status("waits")
    return [name, (yield ctx.wait_for_external_event("go"))]


def holds(ctx: task.OrchestrationContext, name: str) -> Any:
    with (yield ctx.lock_entities([entities.EntityInstanceId("tally", name)])):
        ctx.set_custom_status("holds")
        yield ctx.wait_for_external_event("go")
        return (yield ctx.call_entity(entities.EntityInstanceId("tally", name), "add", 1))


def adds(ctx: task.OrchestrationContext, name: str) -> Any:
    return (yield ctx.call_entity(entities.EntityInstanceId("tally", name), "add", 10))


def sleeps(ctx: task.OrchestrationContext, seconds: float) -> Any:
    ctx.set_custom_status("sleeps")
    yield ctx.create_timer(timedelta(seconds=seconds))
    return "awake"


def wakes(ctx: task.OrchestrationContext, _: None) -> str:
    return "awake"


def calls_unknown(ctx: task.OrchestrationContext, name: str) -> Any:
    ctx.set_custom_status("called")
    return (yield ctx.call_activity(name))


def sequence(ctx: task.OrchestrationContext, n: int) -> Any:
    for _ in range(3):
        n = yield ctx.call_activity(plus_one, input=n)
    return n


def plus_one(ctx: task.ActivityContext, n: int) -> int:
    return n + 1


ORCHESTRATORS += [calls_stuck, stuck_itself, shares, child, everything, waits, holds, adds, sleeps, sequence]
ORCHESTRATORS += [wakes, calls_unknown]
ACTIVITIES += [marked, stuck, plus_one]
ENTITIES += [tally]
