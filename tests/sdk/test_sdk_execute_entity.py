"""Unit-testing entities of both generations with ``testing.execute_entity``."""

from datetime import datetime

import pytest

import azure.durable_functions as df
from azure.durable_functions.testing import EntitySignalAction, OrchestrationStartAction, execute_entity
from durabletask.entities import DurableEntity, EntityInstanceId

blueprint = df.Blueprint()


@blueprint.entity_trigger(context_name="context")
class Wallet(DurableEntity):
    def add(self, amount: int) -> int:
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)

    def spread(self):
        self.signal_entity(EntityInstanceId("Log", "k"), "write", {"a": 1}, datetime(2027, 1, 1))
        return self.schedule_new_orchestration("report", [1], "report-1")

    def fail(self):
        self.set_state(999)
        raise ValueError("no")


@blueprint.entity_trigger(context_name="context", entity_name="Counter")
def classic(context):
    assert (context.entity_name, context.entity_key) == ("counter", "k")
    context.set_state(context.get_state(lambda: 0) + context.get_input())
    context.signal_entity(df.EntityId("Log", "k"), "write", "x")
    context.set_result(context.get_state())


def native(context, amount):
    return context.operation, amount


def test_a_class():
    result = execute_entity(Wallet, "add", 2, state=40)

    assert (result.get_result(int), result.get_state(), result.serialized_state, result.actions) == (42, 42, "42", [])


def test_what_is_sent_and_started():
    signal, start = execute_entity(Wallet, "spread").actions

    assert isinstance(signal, EntitySignalAction)
    assert (str(signal.entity_id), signal.operation, signal.get_input()) == ("@log@k", "write", {"a": 1})
    assert signal.scheduled_time is not None
    assert isinstance(start, OrchestrationStartAction)
    assert (start.name, start.instance_id, start.get_input()) == ("report", "report-1", [1])


def test_exceptions_come_through():
    with pytest.raises(ValueError, match="no"):
        execute_entity(Wallet, "fail", state=1)


def test_a_function_of_one_argument():
    result = execute_entity(classic, "add", 3, entity_key="k")

    assert (result.get_result(), result.get_state(), len(result.actions)) == (3, 3, 1)


class Till:
    """A state of a plain class, as the user documents' counter has it."""

    def __init__(self) -> None:
        self.value = 0


def till(context):
    state = context.get_state(Till) or Till()
    state.value += context.get_input()
    context.set_state(state)


def test_a_state_of_a_plain_class_comes_back():
    first = execute_entity(till, "add", 2)
    again = execute_entity(till, "add", 3, state=first.get_state(Till))

    assert isinstance(first.get_state(Till), Till)
    assert again.get_state(Till).value == 5


def test_an_undecorated_function_of_two_arguments():
    result = execute_entity(native, "get", 1, entity_name="Thing")

    assert (result.get_result(), result.get_state()) == (["get", 1], None)
