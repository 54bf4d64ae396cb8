"""A worker with one half of the functions, each run of an activity written down: ``python ledgered.py ADDRESS HUB
caller|called``; LEDGER names the file. It asks for no other work, and ends by SIGTERM or when its input ends.
"""

import json
import os
import signal
import sys
import time
from datetime import timedelta
from typing import Any

from stage import Stage

from durabletask import entities, task
from durabletask.worker import TaskHubGrpcWorker

QUICK_SECONDS, LONG_SECONDS = 0.02, 1.5


def order(ctx: task.OrchestrationContext, number: int) -> Any:
    key = ctx.instance_id
    first = yield ctx.call_activity("step", input=[key, "first", number])
    ctx.signal_entity(entities.EntityInstanceId("shelf", f"told-{number % 5}"), "add", 1)
    spread = yield task.when_all([ctx.call_activity("step", input=[key, f"spread{n}", first + n]) for n in range(3)])
    yield ctx.create_timer(timedelta(seconds=0.2))
    inner = yield ctx.call_sub_orchestrator("leg", input=number, instance_id=f"{key}:leg")
    count = yield ctx.call_entity(entities.EntityInstanceId("shelf", f"asked-{number % 5}"), "add", 1)
    last = yield ctx.call_activity("step", input=[key, "last", inner])
    return [first, spread, inner, last, count]


def leg(ctx: task.OrchestrationContext, number: int) -> Any:
    return 2 * (yield ctx.call_activity("step", input=[ctx.instance_id, "leg", number]))


def step(ctx: task.ActivityContext, work: list[Any]) -> int:
    key, name, number = work
    note("begun", key, name)
    # Some are always under way, whatever is done and when.
    time.sleep(LONG_SECONDS if name == "leg" and number % 7 == 0 else QUICK_SECONDS)
    note("done", key, name)
    return number + 1


def shelf(ctx: entities.EntityContext, amount: int) -> int:
    count = ctx.get_state(int, 0) + amount
    ctx.set_state(count)
    return count


def note(what: str, key: str, name: str) -> None:
    line = f"{what} {key}/{name} {os.getpid()} {time.monotonic():.4f}\n"
    file = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def caller(worker: TaskHubGrpcWorker) -> None:
    worker.use_work_item_filters()
    worker.add_orchestrator(order)


def called(worker: TaskHubGrpcWorker) -> None:
    worker.use_work_item_filters()
    worker.add_orchestrator(leg)
    worker.add_activity(step)
    worker.add_entity(shelf)


signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
with Stage(sys.argv[1], sys.argv[2]).worker(prepare={"caller": caller, "called": called}[sys.argv[3]]):
    print(json.dumps("started"), flush=True)
    sys.stdin.read()
