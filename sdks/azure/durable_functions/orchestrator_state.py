"""The answer of one orchestrator invocation over the JSON protocol, as tests of replays build and compare it."""

import json
from collections.abc import Sequence
from typing import Any


class OrchestratorState:
    """What an orchestrator asked for, and how it stands: the fields of the protocol's answer."""

    def __init__(
        self,
        is_done: bool,
        actions: Sequence[Any],
        output: Any,
        replay_schema: Any = 1,
        error: str | None = None,
        custom_status: Any = None,
    ) -> None:
        self._is_done = is_done
        self._actions = list(actions)
        self._output = output
        self._schema = replay_schema
        self._error = error
        self._custom_status = custom_status

    @property
    def actions(self) -> list[Any]:
        """The actions in the order in which they were asked for."""
        return self._actions

    @property
    def is_done(self) -> bool:
        """Whether the orchestrator has ended."""
        return self._is_done

    @property
    def output(self) -> Any:
        """What it returned."""
        return self._output

    @property
    def error(self) -> str | None:
        """What it failed with."""
        return self._error

    @property
    def custom_status(self) -> Any:
        """What it set as its custom status."""
        return self._custom_status

    @property
    def schema_version(self) -> int:
        """The protocol's version."""
        return int(getattr(self._schema, "value", self._schema))

    def to_json(self) -> dict[str, Any]:
        """The state by its wire names; what is None is left out."""
        written: dict[str, Any] = {
            "isDone": self._is_done,
            "schemaVersion": self.schema_version,
            "actions": [_plain(action) for action in self._actions],
        }
        optional = {"output": self._output, "error": self._error, "customStatus": self._custom_status}
        return written | {name: value for name, value in optional.items() if value is not None}

    def to_json_string(self) -> str:
        """The state as JSON text."""
        return json.dumps(self.to_json())


def _plain(action: Any) -> Any:
    if isinstance(action, list | tuple):
        return [_plain(member) for member in action]
    return action.to_json() if hasattr(action, "to_json") else action
