"""Each marked line is one mistake that a strict checker finds."""

from durabletask import task


def price(ctx: task.ActivityContext, order: int) -> float:
    return 1.0


async def flow(ctx: task.OrchestrationContext, order: str) -> int:
    await ctx.call_activity(price, input=order)  # mistake
    await ctx.call_activity(price, 5)  # mistake
    task.RetryPolicy(first_retry_interval=5, max_number_of_attempts=1)  # mistake
    ctx.create_timer(5)  # mistake
    return await ctx.call_activity(price, input=1)  # mistake
