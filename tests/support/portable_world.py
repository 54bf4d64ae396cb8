"""The tiny world of ``replay_world`` around an orchestrator of the portable SDK."""

from collections.abc import Callable
from typing import Any

from durabletask.context import DEFAULT_CONVENTIONS, Conventions, orchestrator_definition
from perdure.core.replay.replayer import Replayer
from support.replay_world import World


class PortableWorld(World):
    """One execution of a two-argument orchestrator."""

    def __init__(self, function: Callable[..., Any], conventions: Conventions = DEFAULT_CONVENTIONS) -> None:
        super().__init__(lambda recorder: None)
        self.definition = orchestrator_definition(function, "orchestrator", conventions)
        self.replayer = Replayer(self.definition, "order-1")
