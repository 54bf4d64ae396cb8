"""An official orchestrator handle as the core runs it: contexts out, answers in."""

from collections.abc import Callable, Sequence

from perdure.core.events import HistoryEvent
from perdure.core.registry import OutsideDefinition
from perdure.core.replay.asked import Asked
from perdure.formats.azure_json.answers_read import read_answer, read_failed_answer
from perdure.formats.azure_json.contexts_written import WrittenPast

OrchestratorHandle = Callable[[str], str]


class GuestOrchestrator:
    """One execution of an official orchestrator."""

    __slots__ = ("_handle", "_past")

    def __init__(self, handle: OrchestratorHandle, instance_id: str) -> None:
        self._handle = handle
        self._past = WrittenPast(instance_id)

    def tell(self, events: Sequence[HistoryEvent]) -> None:
        """More of the past."""
        self._past.tell(events)

    def ask(self) -> Asked:
        """Call the handle with all of the past. Raises what it raises, unless that carries an answer."""
        try:
            text = self._handle(self._past.context())
        except Exception as error:
            answer = read_failed_answer(error)
            if answer is None:
                raise
            return answer
        return read_answer(text)


def orchestrator_definition(handle: OrchestratorHandle, name: str) -> OutsideDefinition:
    """The handle under the name it is registered with."""
    return OutsideDefinition(name, lambda instance_id: GuestOrchestrator(handle, instance_id))
