"""DurableEntityContext: what entity code may ask for and do, over one batch of operations."""

import json
from collections.abc import Callable
from typing import Any

from azure.durable_functions.entity_id import EntityId, scheduler_id_of
from azure.durable_functions.names import plain
from azure.durable_functions.serialization import decode_as, from_text, to_optional_text, to_text
from perdure.core import identifiers
from perdure.core.registry import EntitySignal, Operation

_IMMUTABLE = (str, int, float, bool, type(None))


class DurableEntityContext:
    """One entity and the operation it runs now.

    The state is decoded once and stays the same object for the rest of the batch; it is written after each operation.
    """

    __slots__ = ("_exists", "_id", "_is_decoded", "_operation", "_result", "_signals", "_state", "_text", "has_result")

    def __init__(self, entity_id: identifiers.EntityId, state: str | None) -> None:
        self._id = entity_id
        self._text = state
        self._exists = state is not None
        self._state: Any = None
        self._is_decoded = state is None
        self._operation: Operation | None = None
        self._result: Any = None
        self.has_result = False
        self._signals: list[EntitySignal] = []

    @classmethod
    def from_json(cls, json_string: str) -> "tuple[DurableEntityContext, list[dict[str, Any]]]":
        """The context that a host's JSON text stands for, and its operations, for tests. Raises ValueError."""
        from perdure.formats.azure_json.entity_batches import read_batch

        batch = read_batch(json_string)
        return cls(batch.entity_id, batch.state), json.loads(json_string)["batch"]

    @property
    def entity_name(self) -> str:
        """The entity's name, in lower case."""
        return self._id.name

    @property
    def entity_key(self) -> str:
        """The entity's key."""
        return self._id.key

    @property
    def entity_id(self) -> EntityId:
        """The entity's address."""
        return EntityId.of_address(self._id)

    @property
    def operation_name(self) -> str:
        """The operation to run."""
        return self._current.name

    @property
    def is_newly_constructed(self) -> bool:
        """Always False, as in the official package."""
        return False

    def get_input(self, expected_type: type | None = None) -> Any:
        """The operation's input, rebuilt as ``expected_type``; None without."""
        text = self._current.input
        return from_text(text) if expected_type is None else decode_as(expected_type)(text)

    def get_state(self, initializer: Callable[[], Any] | None = None, expected_type: type | None = None) -> Any:
        """The state, the same object throughout the batch; ``initializer()`` when there is none, which is not kept.

        A class given as ``expected_type``, or as the initializer, tells what to rebuild.
        """
        if not self._is_decoded:
            declared = initializer if expected_type is None and isinstance(initializer, type) else expected_type
            self._state = from_text(self._text) if declared is None else decode_as(declared)(self._text)
            self._is_decoded = True
        if self._state is not None or initializer is None:
            return self._state
        if not callable(initializer):
            raise TypeError(f"The initializer of a state must be callable, not {type(initializer).__name__}.")
        return initializer()

    def set_state(self, state: Any) -> None:
        """Keep this state; the entity exists from now on."""
        self._state = state
        self._is_decoded = True
        self._text = None
        self._exists = True

    def set_result(self, result: Any) -> None:
        """Answer with this value; the entity exists from now on."""
        self._result = result
        self.has_result = True
        self._exists = True

    def destruct_on_exit(self) -> None:
        """Let the entity end; a later operation may make it anew."""
        self._state = None
        self._is_decoded = True
        self._text = None
        self._exists = False

    def signal_entity(self, entity_id: EntityId, operation_name: str, operation_input: Any = None) -> None:
        """Ask another entity for an operation, once this one has been committed; not at all if it fails."""
        self._signals.append(
            EntitySignal(scheduler_id_of(entity_id), plain(operation_name), to_optional_text(operation_input))
        )

    @property
    def result_text(self) -> str | None:
        """The result as JSON text. Raises TypeError or ValueError when it has no JSON form."""
        return to_optional_text(self._result)

    def begin(self, operation: Operation) -> None:
        """Turn to the next operation of the batch."""
        self._operation = operation
        self._result = None
        self.has_result = False
        self._signals = []

    def take_signals(self) -> tuple[EntitySignal, ...]:
        """The signals of the current operation."""
        return tuple(self._signals)

    def written_state(self) -> str | None:
        """The state as JSON text after the current operation, None when the entity does not exist.

        A decoded state is written again, since code may have changed it in place; an untouched one keeps its text.
        """
        if not self._exists:
            return None
        if self._text is None or (self._is_decoded and not isinstance(self._state, _IMMUTABLE)):
            self._text = to_text(self._state)
        return self._text

    @property
    def _current(self) -> Operation:
        if self._operation is None:
            raise RuntimeError("The entity's context has no operation: it is only of use while the host runs one.")
        return self._operation
