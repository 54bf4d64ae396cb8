"""Names of instances, entities, executions and partitions: what is legal and how one follows from another."""

import hashlib
import uuid

import msgspec

from perdure.core.errors import InvalidIdentifier

INSTANCE_ID_LENGTH_MAX = 256
_FORBIDDEN = frozenset("/\\#?")


class EntityId(msgspec.Struct, frozen=True, gc=False):
    """The address of an entity; ``name`` is lower-case, ``key`` keeps its case (semantics.md §9)."""

    name: str
    key: str

    def __str__(self) -> str:
        return f"@{self.name}@{self.key}"


def check_instance_id(instance_id: str) -> None:
    """Raise InvalidIdentifier, naming the rule, when an orchestration may not have this id (semantics.md §3)."""
    if not instance_id:
        raise InvalidIdentifier("An instance id must not be empty.")
    if instance_id.startswith("@"):
        raise InvalidIdentifier(f"The instance id '{instance_id}' starts with '@', which is reserved for entities.")
    _check_text(instance_id, "instance id")


def check_portable_id(instance_id: str) -> None:
    """As ``check_instance_id``, by the portable SDKs' rule: printable ASCII, also what may not stand in a path."""
    if not instance_id:
        raise InvalidIdentifier("An instance id must not be empty.")
    if instance_id.startswith("@"):
        raise InvalidIdentifier(f"The instance id '{instance_id}' starts with '@', which is reserved for entities.")
    if len(instance_id) > INSTANCE_ID_LENGTH_MAX:
        raise InvalidIdentifier(
            f"The instance id has {len(instance_id)} characters; at most {INSTANCE_ID_LENGTH_MAX} are allowed."
        )
    for character in instance_id:
        if not " " <= character <= "~":
            raise InvalidIdentifier(f"The instance id {instance_id!r} contains {character!r}; only ASCII is allowed.")


def check_entity_key(key: str) -> None:
    """Raise InvalidIdentifier when an entity key holds a character that its id may not hold."""
    _check_text(key, "entity key")


def _check_text(text: str, what: str) -> None:
    if len(text) > INSTANCE_ID_LENGTH_MAX:
        raise InvalidIdentifier(f"The {what} has {len(text)} characters; at most {INSTANCE_ID_LENGTH_MAX} are allowed.")
    for character in text:
        if character in _FORBIDDEN:
            raise InvalidIdentifier(
                f"The {what} {text!r} contains {character!r}; '/', '\\', '#' and '?' are not allowed."
            )
        if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0:
            raise InvalidIdentifier(f"The {what} {text!r} contains a control character.")
        if 0xD800 <= ord(character) <= 0xDFFF:
            raise InvalidIdentifier(f"The {what} {text!r} contains a lone surrogate.")


def entity_id_of(name: str, key: str) -> EntityId:
    """Build an entity's address. Raises InvalidIdentifier for an empty name or one that holds '@'."""
    if not name:
        raise InvalidIdentifier("An entity name must not be empty.")
    if "@" in name:
        raise InvalidIdentifier(f"The entity name '{name}' contains '@'.")
    check_entity_key(key)
    return EntityId(name.lower(), key)


def is_entity(instance_id: str) -> bool:
    """Whether the id addresses an entity (``@name@key``)."""
    return instance_id.startswith("@")


def read_entity_id(instance_id: str) -> EntityId:
    """Split ``@name@key`` at its second '@'. Raises InvalidIdentifier for anything else."""
    name, at, key = instance_id[1:].partition("@")
    if not instance_id.startswith("@") or not name or not at:
        raise InvalidIdentifier(f"'{instance_id}' is not an entity id; expected '@name@key'.")
    return EntityId(name.lower(), key)


def child_id(parent_id: str, generation: int, task_id: int) -> str:
    """The id of a child that was started without one (functions-sdk.md D6).

    Later executions of an eternal parent add their generation, since their task ids start anew
    and a child of an earlier one may still run.
    """
    if generation == 0:
        return f"{parent_id}:{task_id:04x}"
    return f"{parent_id}:g{generation:x}:{task_id:04x}"


def next_execution_id(previous: str) -> str:
    """The execution id that follows ``previous`` (architecture.md J3)."""
    return str(uuid.uuid5(uuid.UUID(previous), "next"))


def partition_of(instance_id: str, partition_count: int) -> int:
    """The partition an instance belongs to; the same in every process and version."""
    if partition_count == 1:
        return 0
    digest = hashlib.blake2b(instance_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % partition_count
