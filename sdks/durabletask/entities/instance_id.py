"""The address of an entity."""

import functools


@functools.total_ordering
class EntityInstanceId:
    """Name and key of an entity; the name is kept in lower case. Ids are ordered and equal by their text.

    Raises ValueError when one of them is empty or holds '@'.
    """

    def __init__(self, entity: str, key: str) -> None:
        self.validate_entity_name(entity)
        self.validate_key(key)
        self.entity = entity.lower()
        self.key = key

    @staticmethod
    def validate_entity_name(name: str) -> None:
        """Raise ValueError for a name that no entity may have."""
        if not name:
            raise ValueError("Entity name cannot be empty.")
        if "@" in name:
            raise ValueError("Entity name cannot contain '@' symbol.")

    @staticmethod
    def validate_key(key: str) -> None:
        """Raise ValueError for a key that no entity may have."""
        if not key:
            raise ValueError("Entity key cannot be empty.")
        if "@" in key:
            raise ValueError("Entity key cannot contain '@' symbol.")

    @staticmethod
    def parse(entity_id: str) -> "EntityInstanceId":
        """Read ``@name@key``. Raises ValueError for anything else."""
        if not entity_id.startswith("@"):
            raise ValueError("Entity ID must start with '@'.")
        name, at, key = entity_id[1:].partition("@")
        if not at:
            raise ValueError(f"Invalid entity ID format: {entity_id}")
        return EntityInstanceId(name, key)

    def __str__(self) -> str:
        return f"@{self.entity}@{self.key}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.entity!r}, {self.key!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EntityInstanceId):
            return NotImplemented
        return str(self) == str(other)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, EntityInstanceId):
            return NotImplemented
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))
