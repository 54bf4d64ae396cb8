"""What is registered of code that is asked anew each turn; ``outside_code`` drives it, imported when it is run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from perdure.core import events as ev

if TYPE_CHECKING:
    from perdure.core.replay.asked import Asked


class OutsideCode(Protocol):
    """One execution's code, with the past it has been told so far."""

    def tell(self, events: Sequence[ev.HistoryEvent]) -> None:
        """More of the past, in order: what arrived, and what was scheduled."""
        ...

    def ask(self) -> "Asked":
        """What the code wants, given the past. What it raises fails the instance."""
        ...


@dataclass(frozen=True, slots=True)
class OutsideDefinition:
    """An orchestrator whose code keeps nothing between turns. ``open_code`` gets the instance id."""

    name: str
    open_code: Callable[[str], OutsideCode]
