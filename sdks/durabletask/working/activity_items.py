"""One activity work item → its result (portable-sdk.md §4.4)."""

from dataclasses import dataclass

from durabletask.working.functions import Definitions
from durabletask.working.options import ActivityNotRegisteredError
from durabletask.working.user_loop import is_being_cancelled
from perdure.core.failures import FailureDetails
from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode, not_registered_text


@dataclass(frozen=True, slots=True)
class ActivityEnd:
    """How an activity ended; ``failure`` None: it returned."""

    result: str | None = None
    failure: FailureDetails | None = None


@dataclass(frozen=True)
class Activities:
    """Runs work items with these definitions. What user code raises is a failure, and a result that has no text."""

    definitions: Definitions

    def is_async(self, name: str) -> bool:
        """Whether the activity is to be awaited on the users' loop."""
        definition = self.definitions.activities.get(name)
        return definition is not None and definition.mode is ActivityMode.LOOP

    def run(self, call: ActivityCall) -> ActivityEnd:
        """Run a plain activity, on a thread where it may block."""
        try:
            return ActivityEnd(self._definition(call.name).run(call))
        except BaseException as error:  # sys.exit() in an activity is its failure, and not the worker's end
            return ActivityEnd(failure=self.definitions.describe(error))

    async def run_async(self, call: ActivityCall) -> ActivityEnd:
        """Run an ``async def`` activity."""
        try:
            return ActivityEnd(await self._definition(call.name).run(call))
        except BaseException as error:
            if is_being_cancelled():
                raise
            return ActivityEnd(failure=self.definitions.describe(error))

    def _definition(self, name: str) -> ActivityDefinition:
        known = self.definitions.activities
        if name not in known:
            raise ActivityNotRegisteredError(not_registered_text("activity", name, list(known)))
        return known[name]
