"""An activity's user function as the core's definition: input text in, result text out."""

import functools
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode, Registry
from perdure.functions.bindings import ClientTexts, build_arguments, log_outputs
from perdure.functions.descriptions import ActivityFunction, LoadedApp, UserFunction
from perdure.functions.invocations import Invocation, running_function, shows_activities


class PayloadCodec(Protocol):
    """The SDK's converter; a module that has these two functions is one."""

    def from_text(self, text: str | None, annotation: Any = None) -> Any:
        """Read JSON text; the annotation says which classes may be rebuilt."""
        ...

    def to_text(self, value: Any) -> str:
        """Write a value as JSON text."""
        ...


class ActivityExited(Exception):
    """The activity raised SystemExit or KeyboardInterrupt, which must not end the loop that it shares."""


def fill_registry(app: LoadedApp, registry: Registry, codec: PayloadCodec, clients: ClientTexts) -> None:
    """Register the app's orchestrators, activities and entities."""
    for orchestrator in app.orchestrators:
        registry.add_orchestrator(orchestrator.definition)
    for entity in app.entities:
        registry.add_entity(entity.definition)
    for activity in app.activities:
        registry.add_activity(activity_definition(activity, codec, clients))


def activity_definition(activity: ActivityFunction, codec: PayloadCodec, clients: ClientTexts) -> ActivityDefinition:
    """Decide once how the function is called; what is left for each call is decode, call, encode."""
    call = activity.call
    mode = ActivityMode.LOOP if call.is_async else ActivityMode.THREAD
    if (run := getattr(call.function, "run_activity", None)) is not None:
        return ActivityDefinition(activity.registered_name, _own_run(call, run), mode)
    shell = _Shell(call, _reader(codec, call.expected_type), codec.to_text, clients)
    return ActivityDefinition(activity.registered_name, _choose(shell, _is_simple(call)), mode)


def _own_run(call: UserFunction, run: Callable[[ActivityCall], Any]) -> Callable[[ActivityCall], Any]:
    """The run of an activity that takes the call itself and gives text: its SDK decodes and encodes."""
    if not call.is_async:

        def run_plain(given: ActivityCall) -> Any:
            with Invocation(call.name, "Activity", logging.DEBUG):
                return run(given)

        return run_plain

    async def run_async(given: ActivityCall) -> Any:
        with _no_exit(call.name), Invocation(call.name, "Activity", logging.DEBUG):
            return await run(given)

    return run_async


@dataclass(frozen=True, slots=True)
class _Shell:
    call: UserFunction
    read: Callable[[str | None], Any]
    write: Callable[[Any], str]
    clients: ClientTexts

    def run_simple(self, given: ActivityCall) -> str:
        """The usual activity, many thousand times a second: no object is made unless it fails or is logged."""
        if shows_activities():
            return self.run(given)
        call = self.call
        token = running_function.set(call.name)
        try:
            return self.write(call.function(**{call.argument: self.read(given.input)}))
        except BaseException as error:
            Invocation(call.name, "Activity").log_failure(error, error.__traceback__)
            raise
        finally:
            running_function.reset(token)

    def run(self, given: ActivityCall) -> str:
        with Invocation(self.call.name, "Activity", logging.DEBUG) as invocation:
            arguments = build_arguments(self.call, self.read(given.input), self.clients, invocation)
            returned = self.call.function(**arguments)
            log_outputs(self.call, arguments, returned)
            return self.write(returned)

    async def run_async(self, given: ActivityCall) -> str:
        with _no_exit(self.call.name), Invocation(self.call.name, "Activity", logging.DEBUG) as invocation:
            arguments = build_arguments(self.call, self.read(given.input), self.clients, invocation)
            returned = await self.call.function(**arguments)
            log_outputs(self.call, arguments, returned)
            return self.write(returned)


@contextmanager
def _no_exit(activity: str) -> Iterator[None]:
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as error:
        raise ActivityExited(f"Activity '{activity}' raised {error!r}.") from error


def _choose(shell: _Shell, is_simple: bool) -> Callable[[ActivityCall], Any]:
    if shell.call.is_async:
        return shell.run_async
    return shell.run_simple if is_simple else shell.run


def _is_simple(call: UserFunction) -> bool:
    return not (call.wants_context or call.clients or call.outputs or call.missing)


def _reader(codec: PayloadCodec, annotation: Any) -> Callable[[str | None], Any]:
    read = codec.from_text if annotation is None else functools.partial(codec.from_text, annotation=annotation)

    def read_or_raw(text: str | None) -> Any:
        try:
            return read(text)
        except json.JSONDecodeError:
            # A caller that is no SDK may have sent bare text; upstream passes it on as it is.
            return text

    return read_or_raw
