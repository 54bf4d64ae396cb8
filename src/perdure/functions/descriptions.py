"""What an app consists of: plain descriptions of its functions, without routes tables, timers or an engine."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from perdure.core.registry import EntityDefinition, OrchestratorDefinition, OutsideDefinition
from perdure.functions.retry_policies import RetryPolicy
from perdure.functions.schedules import Schedule

RETURN_BINDING = "$return"
"""The output that is a function's return value."""


class AuthLevel(Enum):
    """Which keys open an HTTP function."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ClientArgument:
    """A parameter that receives a durable client's binding text."""

    name: str
    task_hub: str | None = None


@dataclass(frozen=True, slots=True)
class OutputArgument:
    """A parameter for an output that is only logged."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function of the app and how to call it: everything by keyword, decided once at load."""

    name: str
    function: Callable[..., Any]
    argument: str
    """The parameter that receives what triggered it."""
    directory: str
    is_async: bool = False
    expected_type: Any = None
    """The annotation of ``argument``, when it has one."""
    wants_context: bool = False
    clients: tuple[ClientArgument, ...] = ()
    outputs: tuple[OutputArgument, ...] = ()
    missing: tuple[str, ...] = ()
    """Bindings it needs and this host has not, such as ``blob input``: it is never called."""


@dataclass(frozen=True, slots=True)
class HttpFunction:
    """An HTTP trigger. ``route`` has no prefix yet; no ``methods`` means all."""

    call: UserFunction
    route: str
    methods: tuple[str, ...] = ()
    auth_level: AuthLevel = AuthLevel.FUNCTION
    reply_argument: str | None = RETURN_BINDING
    """What takes the response: the return value, or a ``func.Out`` parameter; None when it declares no response."""


@dataclass(frozen=True, slots=True)
class TimerFunction:
    """A timer trigger."""

    call: UserFunction
    schedule_text: str
    schedule: Schedule
    runs_on_startup: bool = False
    is_monitored: bool = True
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class ActivityFunction:
    """An activity. ``registered_name`` is what orchestrators call it by."""

    call: UserFunction
    registered_name: str


@dataclass(frozen=True, slots=True)
class OrchestratorFunction:
    """An orchestrator: the definition its SDK made."""

    name: str
    definition: OrchestratorDefinition | OutsideDefinition


@dataclass(frozen=True, slots=True)
class EntityFunction:
    """An entity: the definition its SDK made."""

    name: str
    definition: EntityDefinition


@dataclass(frozen=True, slots=True)
class ForeignFunction:
    """A function whose trigger does not exist here; it is listed and runs only by hand."""

    call: UserFunction
    trigger: str

    @property
    def name(self) -> str:
        """The function's name."""
        return self.call.name


RunnableFunction = (
    HttpFunction | TimerFunction | ActivityFunction | OrchestratorFunction | EntityFunction | ForeignFunction
)


@dataclass(frozen=True, slots=True)
class DisabledFunction:
    """A function that a setting turned off; ``function`` is None when something is wrong with it besides."""

    name: str
    trigger: str
    function: RunnableFunction | None = None


@dataclass(frozen=True, slots=True)
class BrokenFunction:
    """A function that was left out because something is wrong with its folder (v1); the others run."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class LoadedApp:
    """Everything an app folder holds; ``script`` is None when it consists of function.json folders.

    ``warnings`` are for the user, once each at start.
    """

    folder: Path
    script: str | None
    http: tuple[HttpFunction, ...] = ()
    timers: tuple[TimerFunction, ...] = ()
    orchestrators: tuple[OrchestratorFunction, ...] = ()
    activities: tuple[ActivityFunction, ...] = ()
    entities: tuple[EntityFunction, ...] = ()
    foreign: tuple[ForeignFunction, ...] = ()
    disabled: tuple[DisabledFunction, ...] = ()
    broken: tuple[BrokenFunction, ...] = ()
    warnings: tuple[str, ...] = ()
