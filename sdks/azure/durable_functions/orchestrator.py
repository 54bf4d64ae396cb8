"""Orchestrator.create: a user's one-argument orchestrator function → its definition for the core."""

import inspect
from collections.abc import Callable, Coroutine, Generator
from types import CoroutineType, GeneratorType
from typing import Any

from azure.durable_functions.generations import is_native_orchestrator
from azure.durable_functions.handles import Handle
from azure.durable_functions.orchestration_context import DurableOrchestrationContext
from azure.durable_functions.replay_policy import policy_of
from azure.durable_functions.serialization import to_optional_text
from perdure.core.errors import OrchestratorMisuse
from perdure.core.registry import OrchestratorDefinition, Program, Returned
from perdure.core.replay.recorder import Recorder

# The types before the abstract classes: those are asked for only by what is written by hand.
_PROGRAMS = (GeneratorType, CoroutineType, Generator, Coroutine)


class OrchestratorHandle(Handle):
    """An orchestrator as it stands in a function app."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.orchestrator_function = function
        self._is_native = is_native_orchestrator(function)
        self._df_input_type: type | None = None

    def declare_input(self, input_type: type | None) -> None:
        """Rebuild inputs as this type where ``get_input`` is called without one."""
        self._df_input_type = input_type

    def definition(self, name: str) -> OrchestratorDefinition:
        """The orchestrator as the core runs it, under the name it is registered with."""
        function, input_type = self.orchestrator_function, self._df_input_type
        if self._is_native:
            from azure.durable_functions.native_conventions import NATIVE_CONVENTIONS
            from durabletask.context import orchestrator_definition

            return orchestrator_definition(function, name, NATIVE_CONVENTIONS)

        def begin(recorder: Recorder, input: str | None) -> Program | Returned:
            return _begun(function(DurableOrchestrationContext(recorder, input, input_type)))

        return OrchestratorDefinition(name, begin, to_optional_text, policy_of(function))

    def answer(self, text: str) -> str:
        """Run the orchestrator over the past that another host hands over; returns its JSON answer."""
        from azure.durable_functions.protocol import answer_orchestrator
        from perdure.formats.azure_json.contexts import read_context

        return answer_orchestrator(self.definition(self.__name__), read_context(text))


class Orchestrator:
    """The 1.x way to make an orchestrator of a generator function, a plain function or an ``async def``."""

    def __init__(self, activity_func: Callable[..., Any]) -> None:
        self.fn = activity_func

    def handle(self, context: DurableOrchestrationContext) -> str:
        """Run the function over the past of a context made by ``from_json``; returns the JSON answer.

        Raises TypeError for a context of our own host.
        """
        from azure.durable_functions.protocol import answer_orchestrator

        call = context.host_call()
        if call is None:
            raise TypeError("'handle' takes a context made by DurableOrchestrationContext.from_json.")
        handle = OrchestratorHandle(self.fn)
        return answer_orchestrator(handle.definition(handle.__name__), call)

    @classmethod
    def create(cls, fn: Callable[..., Any]) -> OrchestratorHandle:
        """The handle to export as ``main`` or to register; it carries ``fn`` as ``orchestrator_function``."""
        return OrchestratorHandle(fn)


def _begun(value: Any) -> Program | Returned:
    if isinstance(value, _PROGRAMS):
        return value
    if inspect.isasyncgen(value):
        raise OrchestratorMisuse(
            f"The orchestrator '{value.__name__}' is an async generator; "
            "use 'async def' with 'await', or 'def' with 'yield'."
        )
    return Returned(value)
