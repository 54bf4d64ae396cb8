"""One activity work item → its result (portable-sdk.md §4.4)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from durabletask.working.functions import Definitions
from durabletask.working.options import ActivityNotRegisteredError
from perdure.core.failures import FailureDetails
from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode, not_registered_text

T = TypeVar("T")

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a job on one of the worker's threads."""
OnUserLoop = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs what makes a coroutine, and the coroutine, on the users' loop."""


@dataclass(frozen=True, slots=True)
class ActivityEnd:
    """How an activity ended; ``failure`` None: it returned."""

    result: str | None = None
    failure: FailureDetails | None = None


@dataclass(frozen=True)
class Activities:
    """Runs work items with these definitions."""

    definitions: Definitions
    in_thread: InThread
    on_user_loop: OnUserLoop

    async def run(self, call: ActivityCall) -> ActivityEnd:
        """Run it. What user code raises, or returns that cannot be written, is the failure."""
        definition = self.definitions.activities.get(call.name)
        if definition is None:
            text = not_registered_text("activity", call.name, list(self.definitions.activities))
            return ActivityEnd(failure=self.definitions.describe(ActivityNotRegisteredError(text)))
        try:
            return ActivityEnd(await self._called(definition, call))
        except Exception as error:
            return ActivityEnd(failure=self.definitions.describe(error))

    async def _called(self, definition: ActivityDefinition, call: ActivityCall) -> str | None:
        lane = self.on_user_loop if definition.mode is ActivityMode.LOOP else self.in_thread
        return await lane(lambda: definition.run(call))
