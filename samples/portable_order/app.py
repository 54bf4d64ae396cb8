import asyncio
import sys

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker


# Define orchestration
@task.orchestration
def process_order(ctx: task.OrchestrationContext, order: dict):
    # Validate order
    is_valid = yield ctx.call_activity(validate_order, input=order)
    if not is_valid:
        return {"success": False, "reason": "Invalid order"}

    # Process payment
    payment_result = yield ctx.call_activity(process_payment, input=order)

    # Ship order
    yield ctx.call_activity(ship_order, input=order)

    return {"success": True, "payment_id": payment_result["id"]}


# Define activities
@task.activity
def validate_order(ctx: task.ActivityContext, order: dict) -> bool:
    return "items" in order and len(order["items"]) > 0


@task.activity
def process_payment(ctx: task.ActivityContext, order: dict) -> dict:
    return {"id": f"payment-{order['id']}", "status": "completed"}


@task.activity
def ship_order(ctx: task.ActivityContext, order: dict):
    print(f"Shipping order {order['id']}")


async def main():
    # Without an argument: an engine in this process that keeps nothing.
    connection_string = sys.argv[1] if len(sys.argv) > 1 else "Endpoint=embedded://;TaskHub=default"

    # Create worker
    async with DurableTaskSchedulerWorker(connection_string) as worker:
        # Register tasks
        worker.add_orchestration(process_order)
        worker.add_activity(validate_order)
        worker.add_activity(process_payment)
        worker.add_activity(ship_order)

        # Start worker
        await worker.start()

        # Create client
        client = DurableTaskSchedulerClient(connection_string)

        # Start orchestration
        instance_id = await client.schedule_new_orchestration(
            process_order, input={"id": "order-123", "items": ["item1", "item2"]}
        )

        # Wait for completion
        result = await client.wait_for_orchestration_completion(instance_id)
        print(f"Result: {result.result}")


if __name__ == "__main__":
    asyncio.run(main())
