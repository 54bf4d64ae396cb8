"""The JSON batch that an out-of-process entity is called with, and its answer (worker side, replay-protocol.md §8)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perdure.core.identifiers import EntityId, read_entity_id
from perdure.core.registry import EntitySignal, Operation


class BadBatch(ValueError):
    """The text is no batch of the protocol."""


@dataclass(frozen=True, slots=True)
class EntityBatch:
    """One call of an entity. ``state`` is JSON text, None when the entity does not exist."""

    entity_id: EntityId
    state: str | None
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class OperationResult:
    """How one operation went. ``result`` is JSON text; ``error`` is the text of what was raised."""

    result: str | None
    error: str | None
    started_at_ms: int
    duration_ms: int


def read_batch(text: str) -> EntityBatch:
    """Read a batch. Raises BadBatch."""
    try:
        fields: Any = json.loads(text)
        address = fields["self"]
        state = fields["state"]
        if state is None and fields.get("exists"):
            state = "null"
        if not all(isinstance(text, str) for text in (address["name"], address["key"], state or "")):
            raise TypeError("name, key and state are texts")
        return batch_of(EntityId(address["name"], address["key"]), state, fields["batch"])
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise BadBatch(f"The entity's batch cannot be read: {error!r}.") from error


def batch_of(entity_id: EntityId, state: str | None, rows: Sequence[Mapping[str, Any]]) -> EntityBatch:
    """A batch of parsed operations. Raises BadBatch for one without a name."""
    return EntityBatch(entity_id, state, tuple(_operation(n, row) for n, row in enumerate(rows)))


def write_batch_answer(
    *, state: str | None, results: Sequence[OperationResult], signals: Sequence[EntitySignal]
) -> str:
    """The JSON text of the answer; ``state`` is None when the entity does not exist any more."""
    return json.dumps(
        {
            "entityExists": state is not None,
            "entityState": "null" if state is None else state,
            "results": [_result(result) for result in results],
            "signals": [_signal(signal) for signal in signals],
        }
    )


def _operation(n: int, fields: Mapping[str, Any]) -> Operation:
    name = fields["name"]
    if not isinstance(name, str):
        raise BadBatch(f"Operation {n} of the entity's batch has no name.")
    return Operation(name, _plain_input(fields.get("input")), bool(fields.get("isSignal")))


def _plain_input(text: Any) -> str | None:
    """Python callers write JSON text, which the host writes as JSON again; others' input is written once."""
    if text is None:
        return None
    try:
        inner: Any = json.loads(text)
    except (TypeError, json.JSONDecodeError):
        return text if isinstance(text, str) else json.dumps(text)
    if inner is None:
        return None
    return inner if isinstance(inner, str) else text


def _result(result: OperationResult) -> dict[str, Any]:
    failed = result.error is not None
    return {
        "isError": failed,
        "duration": result.duration_ms,
        "startTime": result.started_at_ms,
        "result": json.dumps(result.error) if failed else result.result or "null",
    }


def _signal(signal: EntitySignal) -> dict[str, Any]:
    target = read_entity_id(signal.entity_id)
    return {
        "target": {"name": target.name, "key": target.key},
        "name": signal.operation,
        # Hosts pass this on as it is; entities in Python read input that was written twice.
        "input": json.dumps("null" if signal.input is None else signal.input),
    }
