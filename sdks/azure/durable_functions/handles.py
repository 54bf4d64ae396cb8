"""What stands in a function app in place of the user's orchestrator or entity function."""

from collections.abc import Callable
from typing import Any, NoReturn


class Handle:
    """Carries the user's function and, for our host, its neutral definition."""

    def __init__(self, function: Callable[..., Any]) -> None:
        # Function builders, log lines and tracebacks ask for these.
        self.__name__: str = getattr(function, "__name__", type(function).__name__)
        self.__qualname__: str = getattr(function, "__qualname__", self.__name__)
        self.__module__ = getattr(function, "__module__", __name__)
        self.__doc__ = function.__doc__

    def __call__(self, context: Any) -> NoReturn:
        """Refuse: only a host calls a handle."""
        raise RuntimeError(
            f"'{self.__name__}' is not called directly: `perdure start` runs it. "
            "A unit test takes the undecorated function from the attribute "
            "'orchestrator_function' or 'entity_function'."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.__module__}.{self.__qualname__}>"
