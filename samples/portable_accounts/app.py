"""Entities that are locked for a transfer, and a schedule that starts it again and again."""

import asyncio
import sys
from datetime import timedelta

from durabletask import entities, task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker
from durabletask.scheduled import AsyncScheduledTaskClient, ScheduleCreationOptions


class Account(entities.DurableEntity):
    """A balance that never goes below zero."""

    def add(self, amount: int) -> int:
        """Change the balance, and tell it."""
        balance = self.get_state(int, 0) + amount
        if balance < 0:
            raise ValueError("not enough money")
        self.set_state(balance)
        return balance

    def get(self) -> int:
        """The balance."""
        return self.get_state(int, 0)


SAVINGS, WALLET = entities.EntityInstanceId("Account", "savings"), entities.EntityInstanceId("Account", "wallet")


@task.orchestration
async def move_money(ctx: task.OrchestrationContext, amount: int) -> str:
    """From one account to the other; nobody sees the money in both or in none."""
    async with ctx.lock_entities([SAVINGS, WALLET]):
        if await ctx.call_entity(SAVINGS, "get", return_type=int) < amount:
            return "not enough"
        await ctx.call_entity(SAVINGS, "add", -amount)
        await ctx.call_entity(WALLET, "add", amount)
    return "moved"


async def main() -> None:
    """Fill one account, then let a schedule empty it, 40 a second."""
    connection_string = sys.argv[1] if len(sys.argv) > 1 else "Endpoint=embedded://;TaskHub=default"
    async with DurableTaskSchedulerWorker(connection_string) as worker:
        worker.add_orchestration(move_money)
        worker.add_entity(Account)
        worker.configure_scheduled_tasks()
        await worker.start()
        async with DurableTaskSchedulerClient(connection_string) as client:
            await client.signal_entity(SAVINGS, "add", 100)
            schedules = AsyncScheduledTaskClient(client)
            options = ScheduleCreationOptions(
                "pocket-money",
                "move_money",
                timedelta(seconds=1),
                orchestration_input=40,
            )
            schedule = await schedules.create_schedule(options)
            print(f"Schedule: {(await schedule.describe()).status.value}")
            while True:
                wallet = await client.get_entity(WALLET)
                if wallet is not None and wallet.get_typed_state(int) == 80:
                    break
                await asyncio.sleep(0.1)
            await schedule.delete()
            print("Wallet: 80")


if __name__ == "__main__":
    asyncio.run(main())
