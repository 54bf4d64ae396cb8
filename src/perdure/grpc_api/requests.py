"""What several calls read out of their requests in the same way."""

from typing import Any

from perdure.client import InvalidInput, RuntimeStatus
from perdure.client.payloads import check_payload

NAME_LENGTH_MAX = 1_000
TAGS_BYTES_MAX = 64 * 1024
IDS_MAX = 500


def said(message: Any, field: str) -> str | None:
    """A nullable text; some clients send an empty one for none, and no payload is empty."""
    return getattr(message, field).value or None if message.HasField(field) else None


def checked_name(name: str, what: str) -> str:
    """A name that is there and fits. Raises InvalidInput."""
    if not name:
        raise InvalidInput(f"The {what} must not be empty.")
    check_payload(name, what, NAME_LENGTH_MAX)
    return name


def checked_tags(tags: Any) -> dict[str, str] | None:
    """Tags, None for none. Raises InvalidInput."""
    found = dict(tags)
    for name, value in found.items():
        check_payload(name, "name of a tag", TAGS_BYTES_MAX)
        check_payload(value, f"tag {name!r}", TAGS_BYTES_MAX)
    return found or None


def checked_ids(batch: Any) -> list[str]:
    """The ids of a batch. Raises InvalidInput for too many."""
    ids = list(batch.instanceIds)
    if len(ids) > IDS_MAX:
        raise InvalidInput(f"A batch has {len(ids):,} instance ids; at most {IDS_MAX} are allowed.")
    return ids


def statuses_of(numbers: Any) -> frozenset[RuntimeStatus]:
    """Statuses by their numbers. Raises InvalidInput."""
    try:
        return frozenset(RuntimeStatus(number) for number in numbers)
    except ValueError as error:
        raise InvalidInput(f"The request names a status that there is not: {error}.") from None
