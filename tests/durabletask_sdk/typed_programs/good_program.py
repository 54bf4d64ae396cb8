"""What a strict checker infers of a two-argument program."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

import azure.durable_functions as df
from durabletask import task
from durabletask.entities import DurableEntity, EntityInstanceId


@dataclass
class Order:
    id: int


def price(ctx: task.ActivityContext, order: Order) -> float:
    return 1.0


async def ship(ctx: task.ActivityContext, order: Order) -> str:
    return "x"


def child(ctx: task.OrchestrationContext, order: Order) -> Generator[task.Task[Any], Any, bool]:
    yield ctx.create_timer(timedelta(seconds=1))
    return True


async def flow(ctx: task.OrchestrationContext, order: Order) -> int:
    assert_type(await ctx.call_activity(price, input=order), float)
    assert_type(await ctx.call_activity(ship, input=order), str)
    assert_type(await ctx.call_activity("price", input=order, return_type=int), int)
    assert_type(await ctx.call_sub_orchestrator(child, input=order), bool)
    assert_type(await ctx.call_sub_orchestrator(flow, input=order), int)
    assert_type(await task.when_all([ctx.call_activity(price, input=order)]), list[float])
    event = ctx.wait_for_external_event("go", data_type=Order)
    timer = ctx.create_timer(timedelta(seconds=1))
    winner = await task.when_any([event, timer])
    assert_type(await event, Order)
    assert_type(event.cancel(), bool)
    assert_type(await ctx.call_entity(EntityInstanceId("c", "k"), "get", return_type=int), int)
    async with ctx.lock_entities([EntityInstanceId("c", "k")]):
        pass
    return 1 if winner is event else 2


class Counter(DurableEntity):
    def add(self, n: int) -> int:
        assert_type(self.get_state(int, 0), int)
        assert_type(self.get_state(int), int | None)
        return n


async def use(client: df.DurableFunctionsClient, blocking: df.SyncDurableFunctionsClient) -> None:
    assert_type(await client.schedule_new_orchestration(flow, input=Order(1)), str)
    state = blocking.get_orchestration_state("i")
    if state is not None:
        assert_type(state.get_output(Order), Order | None)
