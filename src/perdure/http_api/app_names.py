"""What the OpenAPI document names of an app."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class NamedThings(Enum):
    """What a ``{name}`` in a path is the name of."""

    ORCHESTRATORS = "orchestrators"
    ENTITIES = "entities"
    FUNCTIONS = "functions"
    RUNNABLE = "functions that run by hand"


@dataclass(frozen=True, slots=True)
class FunctionRoute:
    """One of the app's HTTP functions. ``path`` is a template of plain ``{name}`` parameters."""

    name: str
    path: str
    parameters: tuple[str, ...]
    methods: tuple[str, ...]
    is_anonymous: bool


@dataclass(frozen=True, slots=True)
class AppNames:
    """What the document names of an app."""

    functions: tuple[FunctionRoute, ...] = ()
    named: Mapping[NamedThings, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(NamedThings, ()))
