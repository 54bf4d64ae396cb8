"""What a failed call raises where it is yielded: our type, and the type that was raised where it failed."""

import json
from typing import Any

import pytest

import azure.durable_functions as df
from azure.durable_functions.failed_calls import FailedCalls
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.replay.policy import FailedKind
from support.sdk_world import SdkWorld


class OutOfStock(Exception):
    """An app's own exception, which wants more than a text."""

    def __init__(self, sku: str, left: int) -> None:
        super().__init__(sku)
        self.left = left


def caught_as(kinds: tuple[type[BaseException], ...], failure: FailureDetails) -> Any:
    def ask(context):
        try:
            yield context.call_activity("bad")
        except kinds as error:
            return [type(error).__name__, isinstance(error, df.TaskFailedError), str(error), error.details.error_type]

    world = SdkWorld(ask)
    world.start()
    world.turn(ev.TaskFailed(0, world.seq_of(0), failure))
    return json.loads(world.output)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ValueError", ValueError),
        ("KeyError", KeyError),
        ("ZeroDivisionError", ArithmeticError),
        ("TimeoutError", TimeoutError),
        ("FileNotFoundError", OSError),
        ("UnicodeDecodeError", UnicodeDecodeError),
        ("OutOfStock", OutOfStock),
    ],
)
def test_except_clauses_name_what_the_activity_raised(name, kind):
    text = f"Activity function 'bad' failed: nope \n {name}: nope"
    assert caught_as((kind,), FailureDetails(name, "nope")) == ["TaskFailedError", True, text, name]


def test_a_child_is_caught_by_what_failed_in_it():
    inside = FailureDetails("TaskFailedError", "outer", cause=FailureDetails("OutOfStock", "tea"))
    assert caught_as((OutOfStock,), inside)[0] == "TaskFailedError"


@pytest.mark.parametrize(
    "name", ["StopIteration", "GeneratorExit", "SystemExit", "ExceptionGroup", "int", "print", "x.y"]
)
def test_names_that_are_no_errors_of_a_call_stay_plain(name):
    error = FailedCalls(globals())(FailedKind.ACTIVITY, "bad", FailureDetails(name, "nope"))
    assert type(error) is df.TaskFailedError


def test_a_type_is_found_only_where_the_code_can_name_it():
    failure = FailureDetails("OutOfStock", "tea")
    assert type(FailedCalls({})(FailedKind.CHILD, "c", failure)) is df.TaskFailedError
    assert isinstance(FailedCalls({"OutOfStock": OutOfStock})(FailedKind.CHILD, "c", failure), OutOfStock)
    assert isinstance(
        FailedCalls({"shop": json})(FailedKind.CHILD, "c", FailureDetails("JSONDecodeError", "x")), ValueError
    )


def test_no_code_of_the_named_class_runs():
    class Trap(Exception):
        def __new__(cls, *args: object) -> "Trap":
            raise AssertionError("made")

    error = FailedCalls({"Trap": Trap})(FailedKind.ENTITY, "@n@k", FailureDetails("Trap", "text"))
    assert str(error) == "text"
    assert type(error) is df.TaskFailedError
