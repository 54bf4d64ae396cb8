"""The address of an entity, as user code writes it."""

import functools

from durabletask.entities.instance_id import EntityInstanceId
from perdure.core import identifiers


class EntityId(EntityInstanceId):
    """Name and key of an entity. Names are compared without case, keys with it; both keep the case they were given in.

    ``entity`` is the name in lower case. Raises ValueError for an empty name or key and for a name that holds '@'.
    """

    name: str
    key: str

    def __init__(self, name: str, key: str) -> None:
        if name is None or name == "":
            raise ValueError("name parameter cannot be empty; an entity id needs a name and a key.")
        if key is None or key == "":
            raise ValueError("key parameter cannot be empty; an entity id needs a name and a key.")
        if "@" in name:
            raise ValueError(f"The entity name '{name}' contains '@', which separates name and key.")
        self.name = name
        self.entity = name.lower()
        self.key = key

    @classmethod
    def of_address(cls, address: identifiers.EntityId) -> "EntityId":
        """The id of an entity that exists already, whatever its key."""
        entity_id = cls.__new__(cls)
        entity_id.name = entity_id.entity = address.name
        entity_id.key = address.key
        return entity_id

    @staticmethod
    def get_scheduler_id(entity_id: "EntityId") -> str:
        """The id under which the entity runs: ``@name@key`` with the name in lower case."""
        return f"@{entity_id.entity}@{entity_id.key}"

    @staticmethod
    def get_entity_id(scheduler_id: str) -> "EntityId":
        """Read ``@name@key``; a key may hold '@'. Raises ValueError for anything else."""
        name, at, key = scheduler_id[1:].partition("@")
        if not scheduler_id.startswith("@") or not at:
            raise ValueError(f"'{scheduler_id}' is not an entity's scheduler id; expected '@name@key'.")
        return EntityId(name, key)

    @staticmethod
    def get_entity_id_url_path(entity_id: "EntityId") -> str:
        """The entity's path in the management API."""
        return f"entities/{entity_id.name}/{entity_id.key}"

    def __str__(self) -> str:
        return self.get_scheduler_id(self)

    def __repr__(self) -> str:
        return f"EntityId({self.name!r}, {self.key!r})"


def address_of(entity_id: EntityInstanceId | None) -> identifiers.EntityId:
    """The checked address. Raises ValueError for no id, or one with characters that ids may not hold."""
    if not entity_id:
        raise ValueError("An entity id is required; build one with EntityId(name, key).")
    return _checked(entity_id.entity, str(entity_id.key))  # numbers are in use as keys


def scheduler_id_of(entity_id: EntityInstanceId | None) -> str:
    """The checked address as text. Raises as ``address_of``."""
    return str(address_of(entity_id))


@functools.lru_cache(maxsize=4096)
def _checked(name: str, key: str) -> identifiers.EntityId:
    return identifiers.entity_id_of(name, key)
