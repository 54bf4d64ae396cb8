"""DFApp and Blueprint: azure.functions' containers with the durable decorators."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from azure.functions import AuthLevel
from azure.functions.decorators.function_app import (
    BindingApi,
    FunctionBuilder,
    FunctionRegister,
    SettingsApi,
    TriggerApi,
)

from azure.durable_functions.client_input import with_client
from azure.durable_functions.decorators.metadata import (
    ActivityTrigger,
    DurableClient,
    EntityTrigger,
    OrchestrationTrigger,
)
from azure.durable_functions.entity import Entity
from azure.durable_functions.generations import is_native_activity
from azure.durable_functions.names import activity_results, marked_name, orchestrator_results
from azure.durable_functions.orchestrator import Orchestrator

if TYPE_CHECKING:
    from durabletask.extensions.history_export import HistoryWriter

Decorator = Callable[[Any], FunctionBuilder]
"""Takes a function, or what another decorator made of it."""

PENDING_BINDINGS = "durable_client_bindings"
"""Attribute of a function that has client bindings and no container yet."""


class Blueprint(TriggerApi, BindingApi, SettingsApi):
    """A container of functions, to be registered with an app; it is not run by itself."""

    def __init__(self, http_auth_level: AuthLevel | str = AuthLevel.FUNCTION) -> None:
        super().__init__(auth_level=http_auth_level)

    def _configure_function_builder(self, wrap: Callable[[FunctionBuilder], FunctionBuilder]) -> Decorator:
        # The library takes any builder for the newest of its own container, and so loses a function when two
        # containers decorate one; here a builder stays in the container that made it.
        def decorator(function: Any) -> FunctionBuilder:
            if isinstance(function, FunctionBuilder):
                return wrap(function)
            builder = self._validate_type(function)
            for binding in getattr(function, PENDING_BINDINGS, ()):
                builder.add_binding(binding)
            self._function_builders.append(builder)
            return wrap(builder)

        return decorator

    def orchestration_trigger(
        self, context_name: str = "context", orchestration: str | None = None, input_type: type | None = None
    ) -> Decorator:
        """Register an orchestrator, under ``orchestration`` or its own name.

        ``input_type`` is what ``context.get_input()`` rebuilds the input as.
        """

        @self._configure_function_builder
        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            function = _user_function(builder)
            handle = Orchestrator.create(function)
            handle.declare_input(input_type)
            handle.declare_parameter(context_name)
            _replace_user_function(builder, handle)
            name = orchestration or marked_name(function)
            builder.add_trigger(OrchestrationTrigger(name=context_name, orchestration=name))
            orchestrator_results.declare(builder, function)
            return builder

        return wrap

    def activity_trigger(self, input_name: str = "input", activity: str | None = None) -> Decorator:
        """Register an activity, under ``activity`` or its own name."""

        @self._configure_function_builder
        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            function = _user_function(builder)
            if is_native_activity(function, input_name):
                from azure.durable_functions.native_activity import native_activity

                _replace_user_function(builder, native_activity(function, input_name))
            builder.add_trigger(ActivityTrigger(name=input_name, activity=activity or marked_name(function)))
            activity_results.declare(builder, function)
            return builder

        return wrap

    def entity_trigger(self, context_name: str = "context", entity_name: str | None = None) -> Decorator:
        """Register an entity, under ``entity_name`` or its own name."""

        @self._configure_function_builder
        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            entity = _user_function(builder)
            handle = Entity.create(entity)
            handle.declare_parameter(context_name)
            _replace_user_function(builder, handle)
            name = entity_name or marked_name(entity)
            builder.add_trigger(EntityTrigger(name=context_name, entity_name=name))
            return builder

        return wrap

    def durable_client_input(
        self, client_name: str, task_hub: str | None = None, connection_name: str | None = None
    ) -> Decorator:
        """Give a function a durable client in its parameter ``client_name``.

        ``async def`` functions get one to await, ``def`` functions one whose methods block.
        """

        @self._configure_function_builder
        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            _replace_user_function(builder, with_client(_user_function(builder), client_name))
            builder.add_binding(DurableClient(client_name, task_hub, connection_name))
            return builder

        return wrap

    def configure_scheduled_tasks(self) -> None:
        """Register what the schedules of ``durabletask.scheduled`` need: an entity and an orchestrator."""
        # Here and not above: most apps have no schedules, and every app pays for imports at its start.
        from durabletask.scheduled.operation import execute_schedule_operation_orchestrator
        from durabletask.scheduled.schedule_entity import ENTITY_NAME, Schedule

        self.entity_trigger(context_name="context", entity_name=ENTITY_NAME)(Schedule)
        self.orchestration_trigger(context_name="context")(execute_schedule_operation_orchestrator)

    def configure_history_export(self, writer: "HistoryWriter") -> None:
        """Register what export jobs of ``durabletask.extensions.history_export`` need; documents go to ``writer``.

        Jobs of the continuous mode are refused: the orchestration of one would never end.
        """
        from azure.durable_functions.history_export import BatchExportJob, export_activities
        from durabletask.extensions.history_export.job_orchestrator import export_job_orchestrator
        from durabletask.extensions.history_export.names import ENTITY_NAME, ORCHESTRATOR_NAME

        self.entity_trigger(context_name="context", entity_name=ENTITY_NAME)(BatchExportJob)
        self.orchestration_trigger(context_name="context", orchestration=ORCHESTRATOR_NAME)(export_job_orchestrator)
        for name, function in export_activities(writer).items():
            self.durable_client_input("client")(self.activity_trigger("input", activity=name)(function))


class DFApp(Blueprint, FunctionRegister):
    """A function app with the durable decorators."""

    def __init__(self, http_auth_level: AuthLevel | str = AuthLevel.FUNCTION) -> None:
        FunctionRegister.__init__(self, auth_level=http_auth_level)


def durable_client_input(
    client_name: str, task_hub: str | None = None, connection_name: str | None = None
) -> Callable[[Any], Any]:
    """Give a function a durable client in its parameter ``client_name``.

    It may stand above or below the trigger's decorator, which may be that of any app or blueprint: a plain function
    keeps the binding until a container takes it in.
    """

    def decorate(function: Any) -> Any:
        binding = DurableClient(client_name, task_hub, connection_name)
        if isinstance(function, FunctionBuilder):
            _replace_user_function(function, with_client(_user_function(function), client_name))
            return function.add_binding(binding)
        middleware = with_client(function, client_name)
        setattr(middleware, PENDING_BINDINGS, [*getattr(function, PENDING_BINDINGS, ()), binding])
        return middleware

    return decorate


# azure.functions offers no way to reach or exchange the function of a builder that is still being decorated;
# the official durable package does it in the same way.


def _user_function(builder: FunctionBuilder) -> Callable[..., Any]:
    return builder._function.get_user_function()


def _replace_user_function(builder: FunctionBuilder, function: Callable[..., Any]) -> None:
    builder._function._func = function
