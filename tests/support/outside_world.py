"""The tiny world of ``replay_world`` around code that is asked anew with its whole past."""

from collections.abc import Callable, Sequence
from typing import Any

import azure.durable_functions as df
from perdure.core import events as ev
from perdure.core.registry import OutsideDefinition
from perdure.core.replay.asked import Asked
from perdure.core.replay.outside_code import OutsideReplayer, replayer_of
from perdure.functions.guest.orchestrators import orchestrator_definition
from support.replay_world import World


class Past:
    """What a script has been told; the questions scripts ask it."""

    def __init__(self) -> None:
        self.events: list[ev.HistoryEvent] = []

    def has(self, kind: type[ev.HistoryEvent], **fields: Any) -> bool:
        """Whether there is an event of this kind with these fields."""
        return self.count(kind, **fields) > 0

    def count(self, kind: type[ev.HistoryEvent], **fields: Any) -> int:
        """How many events of this kind have these fields."""
        return sum(type(e) is kind and all(getattr(e, name) == v for name, v in fields.items()) for e in self.events)


Script = Callable[[Past], Asked]


class ScriptedCode:
    """Outside code that is a function of its past."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._past = Past()

    def tell(self, events: Sequence[ev.HistoryEvent]) -> None:
        self._past.events.extend(events)

    def ask(self) -> Asked:
        return self._script(self._past)


class OutsideWorld(World):
    """One execution of outside code."""

    def __init__(self, definition: OutsideDefinition) -> None:
        super().__init__(lambda recorder: None)
        self._outside = definition
        self.replayer: Any = replayer_of(definition, "order-1")

    @classmethod
    def of_script(cls, script: Script) -> "OutsideWorld":
        """Code that is a function of its past."""
        return cls(OutsideDefinition("orchestrator", lambda instance_id: ScriptedCode(script)))

    @classmethod
    def of_handle(cls, function: Callable[..., Any]) -> "OutsideWorld":
        """An orchestrator function of the 1.x generation, called through the JSON protocol."""
        return cls(orchestrator_definition(df.Orchestrator.create(function), "orchestrator"))

    def fresh(self) -> Any:
        """A new replayer that has replayed the history so far."""
        replayer: OutsideReplayer = replayer_of(self._outside, "order-1")
        replayer.replay(self.history)
        return replayer
