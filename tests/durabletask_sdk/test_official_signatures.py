"""Every public function of the official packages (1.12.0) can be called here, by the same keywords and defaults.

``portable_signatures.json`` holds, by module and name, the parameters ``[name, kind, default]`` ("…": a default that is
no plain value), "property", or the members of an enum.
"""

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "compatibility" / "fixtures" / "portable_signatures.json").read_text(encoding="utf-8")
)

INNER = frozenset(
    {
        # The engine's own way to drive and to make tasks.
        "task.CancellableTask",
        "task.CancellableTask.set_cancel_handler",
        "task.CompletableTask",
        "task.CompositeTask",
        "task.CompositeTask.on_child_completed",
        "task.RetryableTask",
        "task.RetryableTask.compute_next_delay",
        "task.RetryableTask.increment_attempt_count",
        "task.TimerTask",
        "task.TimerTask.set_cancel_handler",
        "task.TimerTask.set_retryable_parent",
        "task.WhenAllTask.on_child_completed",
        "task.WhenAnyTask.on_child_completed",
        "entities.EntityLock",
        # A private field as an argument.
        "client.OrchestrationState",
        # A step of list_schedules.
        "scheduled.ScheduledTaskClient.matches_filter",
    }
)
SAID_OTHERWISE = {"secure_channel": "the scheme of a connection string's endpoint decides, and True without one"}


def module_of(name: str) -> str:
    folders = name.split(".")[:-1]
    while not all(part.islower() for part in folders):
        folders.pop()
    return ".".join(folders)


def is_inner(name: str) -> bool:
    # The service's methods on the class of the test backend have the names of RPCs.
    return name in INNER or (name.startswith("testing.InMemory") and name.rpartition(".")[2][0].isupper())


def found(module: str, name: str) -> Any:
    thing: Any = importlib.import_module(f"durabletask.{module}")
    for part in name.removeprefix(f"{module}.").split("."):
        thing = inspect.getattr_static(thing, part) if inspect.isclass(thing) else getattr(thing, part)
    return thing


def parameters_of(ours: Any) -> list[inspect.Parameter]:
    plain = ours.__func__ if isinstance(ours, staticmethod | classmethod) else ours
    parameters = list(inspect.signature(plain).parameters.values())
    is_method = inspect.isfunction(ours) and "." in ours.__qualname__
    return parameters[1:] if is_method or isinstance(ours, classmethod) else parameters


def differences(name: str, theirs: Any, ours: Any) -> Iterator[str]:
    if theirs is None:
        return
    if theirs == "property":
        if inspect.isfunction(ours):
            yield f"{name} is read and not called"
        return
    if isinstance(theirs, dict):
        members = {member.name: member.value for member in ours}
        yield from (f"{name}.{member}" for member, value in theirs.items() if members.get(member) != value)
        return
    parameters = parameters_of(ours)
    by_name = {parameter.name: (place, parameter) for place, parameter in enumerate(parameters)}
    for place, (said, kind, *default) in enumerate(theirs):
        if kind.startswith("VAR"):
            continue
        at, own = by_name.get(said, (None, None))
        if own is None or own.kind is own.POSITIONAL_ONLY:
            yield f"{name}({said}=…) cannot be said"
        elif kind == "POSITIONAL_OR_KEYWORD" and (at, own.kind.name) != (place, kind):
            yield f"{said} is not argument {place} of {name}"
        elif default and own.default is own.empty:
            yield f"{said} of {name} may be left out"
        elif default and default != ["…"] and own.default != default[0] and said not in SAID_OTHERWISE:
            yield f"{said} of {name} is {default[0]!r} when it is left out"
    known = {said for said, *_ in theirs}
    for parameter in parameters:
        optional = parameter.default is not parameter.empty or parameter.kind.name.startswith("VAR")
        if not optional and parameter.name not in known:
            yield f"{name} demands {parameter.name}"


@pytest.mark.parametrize("module", sorted({module_of(name) for name in RECORDED}))
def test_all_of_a_module_is_there_and_is_called_alike(module: str) -> None:
    wrong: list[str] = []
    for name, theirs in RECORDED.items():
        if module_of(name) == module and not is_inner(name):
            try:
                wrong += differences(name, theirs, found(module, name))
            except AttributeError:
                wrong.append(f"{name} is missing")
    assert not wrong
