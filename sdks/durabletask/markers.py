"""What marks a function as an orchestration, activity or entity, and the name it is known by."""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])

KIND = "__durable_kind__"
NAME = "__durable_name__"
VERSION = "__durable_version__"
ENTITY_NAME = "__durable_entity_name__"


class FunctionKind(Enum):
    """What a function was marked as."""

    ORCHESTRATION = "orchestration"
    ACTIVITY = "activity"
    ENTITY = "entity"


@overload
def orchestration(function: F, /) -> F: ...
@overload
def orchestration(*, name: str | None = None, version: str | None = None) -> Callable[[F], F]: ...
def orchestration(function: Any = None, /, *, name: str | None = None, version: str | None = None) -> Any:
    """Mark a function as an orchestration, under another name or with a version if given; it stays callable."""

    def mark(marked: F) -> F:
        _mark(marked, FunctionKind.ORCHESTRATION, name)
        if version is not None:
            setattr(marked, VERSION, version)
        return marked

    return mark if function is None else mark(function)


@overload
def activity(function: F, /) -> F: ...
@overload
def activity(*, name: str | None = None) -> Callable[[F], F]: ...
def activity(function: Any = None, /, *, name: str | None = None) -> Any:
    """Mark a function as an activity, under another name if given; it stays callable."""

    def mark(marked: F) -> F:
        _mark(marked, FunctionKind.ACTIVITY, name)
        return marked

    return mark if function is None else mark(function)


@overload
def entity(function: F, /) -> F: ...
@overload
def entity(*, name: str | None = None) -> Callable[[F], F]: ...
def entity(function: Any = None, /, *, name: str | None = None) -> Any:
    """Mark a function or a DurableEntity class as an entity, under another name if given."""

    def mark(marked: F) -> F:
        _mark(marked, FunctionKind.ENTITY, None)
        setattr(marked, ENTITY_NAME, name or marked.__name__)
        return marked

    return mark if function is None else mark(function)


def get_name(fn: Callable[..., Any]) -> str:
    """The name a function is registered under. Raises ValueError for a lambda that was given none."""
    marked = getattr(fn, NAME, None)
    if marked:
        return str(marked)
    name = getattr(fn, "__name__", "")
    if not name or name == "<lambda>":
        raise ValueError("Cannot infer a name from a lambda function. Please provide a name explicitly.")
    return name


def get_entity_name(fn: Callable[..., Any]) -> str:
    """The name an entity function or class is registered under."""
    return str(getattr(fn, ENTITY_NAME, None) or get_name(fn))


def kind_of(fn: Any) -> FunctionKind | None:
    """What the function was marked as, if at all."""
    return getattr(fn, KIND, None)


def _mark(function: Any, kind: FunctionKind, name: str | None) -> None:
    setattr(function, KIND, kind)
    if name is not None:
        setattr(function, NAME, name)


for _public in (orchestration, activity, entity, get_name, get_entity_name):
    _public.__module__ = "durabletask.task"
