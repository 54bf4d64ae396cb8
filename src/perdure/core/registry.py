"""Names → definitions of orchestrators, activities and entities. SDKs and hosts fill it; lookups ignore case."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

import msgspec

from perdure.core.errors import NotRegistered
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.replay.definition import OrchestratorDefinition, Program, Returned
from perdure.core.replay.outside_definition import OutsideDefinition

__all__ = [
    "BUILT_IN",
    "ActivityCall",
    "ActivityDefinition",
    "ActivityMode",
    "EntityDefinition",
    "EntityProgram",
    "EntitySignal",
    "EntityStart",
    "FailedOperations",
    "Operation",
    "OperationOutcome",
    "OrchestratorDefinition",
    "OutsideDefinition",
    "Program",
    "Registry",
    "Returned",
    "not_registered_text",
]


BUILT_IN = "BuiltIn::"
"""How the names of the host's own functions begin; apps are not told of them."""


class ActivityMode(Enum):
    """Where an activity's function runs."""

    THREAD = "thread"
    LOOP = "loop"


class ActivityCall(msgspec.Struct, frozen=True, gc=False):
    """One run of an activity."""

    instance_id: str
    task_id: int
    name: str
    input: str | None
    version: str | None = None
    tags: dict[str, str] | None = None
    trace_context: str | None = None


@dataclass(frozen=True, slots=True)
class ActivityDefinition:
    """An activity: input text in, result text out. ``run`` is a coroutine function when ``mode`` is LOOP."""

    name: str
    run: Callable[[ActivityCall], Any]
    mode: ActivityMode = ActivityMode.THREAD


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One operation given to an entity's code."""

    name: str
    input: str | None
    is_signal: bool
    request_id: str | None = None
    caller: str | None = None
    """The orchestration that waits for the answer; ``caller_execution`` is its execution."""
    caller_execution: str | None = None
    trace_context: str | None = None


class EntitySignal(msgspec.Struct, frozen=True, gc=False):
    """A signal that an entity's operation sends."""

    entity_id: str
    operation: str
    input: str | None = None
    due_at: datetime | None = None
    request_id: str | None = None
    trace_context: str | None = None


class EntityStart(msgspec.Struct, frozen=True, gc=False):
    """An orchestration that an entity's operation starts and does not wait for. Both ids are new."""

    name: str
    instance_id: str
    execution_id: str
    input: str | None = None
    version: str | None = None
    scheduled_start_at: datetime | None = None
    trace_context: str | None = None
    tags: dict[str, str] | None = None


class FailedOperations(Enum):
    """What becomes of the state, the signals and the starts of an operation that failed."""

    ROLLED_BACK = "rolled back"
    KEPT = "kept"


class OperationOutcome(msgspec.Struct, frozen=True, gc=False):
    """How one operation ended. What counts with a ``failure`` is said by the definition's ``failed``."""

    state: str | None
    """The entity's state after the operation, a failed one too; None when it does not exist."""
    result: str | None = None
    signals: tuple[EntitySignal, ...] = ()
    failure: FailureDetails | None = None
    starts: tuple[EntityStart, ...] = ()


class EntityProgram(Protocol):
    """An entity's code over one batch. It may keep the decoded state between operations of the batch."""

    def run(self, operation: Operation) -> OperationOutcome:
        """Run one operation. Never raises for user errors: they are the outcome's ``failure``."""
        ...

    def roll_back(self, state: str | None) -> None:
        """Forget whatever is cached; the state is again this text."""
        ...


@dataclass(frozen=True, slots=True)
class EntityDefinition:
    """An entity: ``open`` gets its id and state text and returns the code over one batch."""

    name: str
    open: Callable[[EntityId, str | None], EntityProgram]
    failed: FailedOperations = FailedOperations.ROLLED_BACK


class Registry:
    """What this process can run.

    ``absent_types`` gives, by "orchestrator", "activity" and "entity", the error type of what fails because nobody
    registered it; ``NotRegistered`` by default.
    """

    def __init__(self, absent_types: Mapping[str, str] | None = None) -> None:
        self._absent_types = absent_types or {}
        self.orchestrators: dict[str, OrchestratorDefinition | OutsideDefinition] = {}
        self.activities: dict[str, ActivityDefinition] = {}
        self.entities: dict[str, EntityDefinition] = {}

    def add_orchestrator(self, definition: OrchestratorDefinition | OutsideDefinition) -> None:
        """Register. Raises ValueError for a name that is taken."""
        _add(self.orchestrators, definition.name, definition, "orchestrator")

    def add_activity(self, definition: ActivityDefinition) -> None:
        """Register. Raises ValueError for a name that is taken."""
        _add(self.activities, definition.name, definition, "activity")

    def add_entity(self, definition: EntityDefinition) -> None:
        """Register. Raises ValueError for a name that is taken."""
        _add(self.entities, definition.name, definition, "entity")

    def keep_failed_operations(self) -> None:
        """Let entity operations that fail keep their state and signals, instead of leaving no trace."""
        self.entities = {
            name: replace(definition, failed=FailedOperations.KEPT) for name, definition in self.entities.items()
        }

    def has(self, kind: str, name: str) -> bool:
        """Whether there is an "orchestrator", "activity" or "entity" of that name."""
        tables: dict[str, Mapping[str, object]] = {
            "orchestrator": self.orchestrators, "activity": self.activities, "entity": self.entities,
        }  # fmt: skip
        return name.lower() in tables[kind]

    def orchestrator(self, name: str) -> OrchestratorDefinition | OutsideDefinition:
        """Look up. Raises NotRegistered, listing the known names, close ones first."""
        return self._get(self.orchestrators, name, "orchestrator")

    def activity(self, name: str) -> ActivityDefinition:
        """Look up. Raises NotRegistered, listing the known names, close ones first."""
        return self._get(self.activities, name, "activity")

    def entity(self, name: str) -> EntityDefinition:
        """Look up. Raises NotRegistered, listing the known names, close ones first."""
        return self._get(self.entities, name, "entity")

    def _get(self, table: dict[str, Any], name: str, kind: str) -> Any:
        found = table.get(name.lower())
        if found is None:
            known = [d.name for d in table.values() if not d.name.startswith(BUILT_IN)]
            text = not_registered_text(kind, name, known)
            said = self._absent_types.get(kind)
            raise NotRegistered(text, None if said is None else FailureDetails(said, text))
        return found


def _add(table: dict[str, Any], name: str, definition: Any, kind: str) -> None:
    if name.lower() in table:
        raise ValueError(f"Two {kind} functions are named '{name}'; names are unique, whatever their case.")
    table[name.lower()] = definition


_PLURALS = {"activity": "activities", "entity": "entities"}


def not_registered_text(kind: str, name: str, known: list[str]) -> str:
    """What is missing and what there is, close names first."""
    if not known:
        return f"No {kind} named '{name}' is registered; this app has none."
    close = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=len(known), cutoff=0.6)
    rank = {k: n for n, k in enumerate(close)}
    ordered = sorted(known, key=lambda k: (rank.get(k.lower(), len(rank)), k.lower()))
    kinds = _PLURALS.get(kind, f"{kind}s")
    return f"No {kind} named '{name}' is registered. Known {kinds}: {', '.join(repr(k) for k in ordered)}."
