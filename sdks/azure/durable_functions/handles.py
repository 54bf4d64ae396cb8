"""What stands in a function app in place of the user's orchestrator or entity function."""

import inspect
from collections.abc import Callable
from typing import Any


class Handle:
    """Carries the user's function and, for our host, its neutral definition."""

    def __init__(self, function: Callable[..., Any]) -> None:
        # Function builders, log lines and tracebacks ask for these.
        self.__name__: str = getattr(function, "__name__", type(function).__name__)
        self.__qualname__: str = getattr(function, "__qualname__", self.__name__)
        self.__module__ = getattr(function, "__module__", __name__)
        self.__doc__ = function.__doc__
        # The official worker compares these with the bindings, and passes the context by name.
        self.__annotations__: dict[str, Any] = {"return": str}
        self.declare_parameter("context")

    def declare_parameter(self, name: str) -> None:
        """The name of the trigger's binding."""
        parameter = inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.__signature__ = inspect.Signature([parameter], return_annotation=str)

    def __call__(self, *context: Any, **by_name: Any) -> str:
        """What another host calls: its JSON context, or an object with it as ``body``, gives the JSON answer.

        Raises TypeError for anything else, as in a call by hand.
        """
        # Only another host gets here: a start on ours need not load the protocol.
        from azure.durable_functions.protocol import body_of

        (given,) = self.__signature__.bind(*context, **by_name).arguments.values()
        return self.answer(body_of(given))

    def answer(self, text: str) -> str:
        """Run the function as the JSON text says; returns the JSON answer."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.__module__}.{self.__qualname__}>"
