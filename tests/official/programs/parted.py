"""A worker that has one half of the functions and asks for no other: ``python parted.py ADDRESS HUB caller|called``."""

import json
import sys
import time
from typing import Any

from stage import Stage

from durabletask import entities, task
from durabletask.worker import TaskHubGrpcWorker

SECONDS = 0.1


def order(ctx: task.OrchestrationContext, number: int) -> Any:
    packed = yield ctx.call_activity("pack", input=number)
    billed = yield ctx.call_sub_orchestrator("bill", input=number)
    counter = entities.EntityInstanceId("shelf", str(number))
    yield ctx.call_entity(counter, "add", number)
    shelved = yield ctx.call_entity(counter, "add", 1)
    many = yield task.when_all([ctx.call_activity("pack", input=n) for n in range(5)])
    return [packed, billed, shelved, len(many)]


def pack(ctx: task.ActivityContext, number: int) -> str:
    time.sleep(SECONDS)
    return f"packed {number}"


def bill(ctx: task.OrchestrationContext, number: int) -> Any:
    return "billed, " + (yield ctx.call_activity("pack", input=number))


def shelf(ctx: entities.EntityContext, amount: int) -> int:
    count = ctx.get_state(int, 0) + amount
    ctx.set_state(count)
    return count


def caller(worker: TaskHubGrpcWorker) -> None:
    worker.use_work_item_filters()
    worker.add_orchestrator(order)


def called(worker: TaskHubGrpcWorker) -> None:
    worker.use_work_item_filters()
    worker.add_orchestrator(bill)
    worker.add_activity(pack)
    worker.add_entity(shelf)


with Stage(sys.argv[1], sys.argv[2]).worker(prepare={"caller": caller, "called": called}[sys.argv[3]]):
    print(json.dumps("started"), flush=True)
    sys.stdin.read()
