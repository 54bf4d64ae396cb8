"""The entities: a function over a plain class, a function over a number, and a class."""

import azure.durable_functions as df
from durabletask.entities import DurableEntity

bp = df.Blueprint()


class Ledger:
    def __init__(self) -> None:
        self.entries = 0
        self.total = 0

    def write(self, amount: int) -> None:
        self.entries += 1
        self.total += amount


@bp.entity_trigger(context_name="context")
def ledger(context: df.EntityContext):
    state = context.get_state(Ledger)
    if context.operation_name == "write":
        state.write(context.get_input())
        context.set_state(state)
        context.signal_entity(df.EntityId("tally", "written"), "add", 1)
    context.set_result([state.entries, state.total])


@bp.entity_trigger(context_name="context")
def tally(context: df.EntityContext):
    count = context.get_state(lambda: 0)
    if context.operation_name == "add":
        count += context.get_input()
        context.set_state(count)
    context.set_result(count)


@bp.entity_trigger(context_name="context")
class Account(DurableEntity):
    def put(self, amount: int) -> int:
        balance = self.get_state(int, 0) + amount
        self.set_state(balance)
        return balance

    def balance(self) -> int:
        return self.get_state(int, 0)
