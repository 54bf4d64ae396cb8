"""Durable Task programs in Python. Importing this imports nothing else: submodules are loaded when they are named."""

import importlib
from types import ModuleType

PACKAGE_NAME = "durabletask"

__all__ = ["PACKAGE_NAME"]

_SUBMODULES = frozenset({"client", "entities", "scheduled", "serialization", "task"})


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES})
