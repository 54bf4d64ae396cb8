"""The workloads as Restate services, served by hypercorn as Restate's documentation does it."""

import time

import restate

from benchmarks.engines.engine import say

bench = restate.Service("bench")
waiter = restate.Workflow("waiter")


@bench.handler()
async def sequence(ctx: restate.Context, activities: int) -> str:
    """Activities in a row."""
    last = ""
    for i in range(activities):
        last = await ctx.run_typed("say", say, i=i)
    return last


@bench.handler()
async def fan_out(ctx: restate.Context, activities: int) -> int:
    """Activities in parallel; how many answered."""
    running = [ctx.run_typed("say", say, i=i) for i in range(activities)]
    await restate.gather(*running)
    return len([await one for one in running])


@bench.handler()
async def long(ctx: restate.Context, steps: int) -> list[float]:
    """Activities in a row; eleven moments at even distances."""
    moments = [time.perf_counter()]
    for i in range(steps):
        await ctx.run_typed("say", say, i=i)
        if (i + 1) % (steps // 10) == 0:
            moments.append(time.perf_counter())
    return moments


@waiter.main()
async def run(ctx: restate.WorkflowContext, _: str) -> str:
    """Wait for the event."""
    return await ctx.promise("go", type_hint=str).value()


@waiter.handler()
async def go(ctx: restate.WorkflowSharedContext, value: str) -> None:
    """Raise it."""
    await ctx.promise("go", type_hint=str).resolve(value)


app = restate.app([bench, waiter])
