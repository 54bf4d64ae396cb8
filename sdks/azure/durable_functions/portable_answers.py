"""Records of the task hub as the portable family shows them, and its questions as the task hub takes them."""

import json
from datetime import datetime
from typing import Any

from azure.durable_functions.native_payloads import NATIVE_CONVERTER
from durabletask.entities import EntityMetadata
from durabletask.states import OrchestrationState, replaceable_statuses
from durabletask.transports import record_answers
from durabletask.transports.record_answers import as_json, entity_filter, orchestration_filter, statuses_of, utc
from perdure.client import EndedKey, InstanceRecord, PageKey, RuntimeStatus

__all__ = [
    "TERMINAL",
    "check_reuse",
    "entity_filter",
    "key_of",
    "metadata_of",
    "orchestration_filter",
    "state_of",
    "statuses_of",
    "token_of",
    "utc",
]

TERMINAL = frozenset(status for status in RuntimeStatus if status.is_terminal)


def state_of(record: InstanceRecord, *, with_payloads: bool) -> OrchestrationState:
    """One orchestration. A failed one's output is the text that the host shows of it."""
    state = record_answers.state_of(record, with_payloads=with_payloads, converter=NATIVE_CONVERTER)
    if with_payloads:
        state.serialized_output = as_json(record.progress.output)
    return state


def metadata_of(record: InstanceRecord, *, with_state: bool) -> EntityMetadata | None:
    """One entity; None when it neither exists nor is locked."""
    return record_answers.metadata_of(record, with_state=with_state, converter=NATIVE_CONVERTER)


def check_reuse(policy: Any) -> None:
    """Raise ValueError for a policy that this host does not follow, TypeError for what is none."""
    replaceable = replaceable_statuses(policy)
    if replaceable is None:
        return
    if {RuntimeStatus(status.value) for status in replaceable} != TERMINAL:
        raise ValueError(
            "reuse_id_policy: a start here replaces finished instances of its id, and no others "
            "(host.json: overridableExistingInstanceStates). Name COMPLETED, FAILED, CANCELED and TERMINATED, or leave "
            "the policy out."
        )


def token_of(key: PageKey | None) -> str | None:
    """Where the next page begins, as text."""
    return None if key is None else json.dumps([key.created_at.isoformat(), key.instance_id])


def ended_token_of(key: EndedKey | None) -> str | None:
    """Where the next page of ended orchestrations begins, as text."""
    return None if key is None else json.dumps([key.completed_at.isoformat(), key.instance_id])


def ended_key_of(token: str | None) -> EndedKey | None:
    """Read such a text. Raises ValueError when it is none."""
    key = key_of(token)
    return None if key is None else EndedKey(key.created_at, key.instance_id)


def key_of(token: str | None) -> PageKey | None:
    """Read such a text. Raises ValueError when it is none."""
    if not token:
        return None
    try:
        created_at, instance_id = json.loads(token)
        return PageKey(datetime.fromisoformat(created_at), instance_id)
    except (ValueError, TypeError) as error:
        raise ValueError(f"'{token}' is no continuation token of this client.") from error
