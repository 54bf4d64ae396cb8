"""Where programs of the official package look for these names."""

from durabletask.entities.instance_id import EntityInstanceId

__all__ = ["EntityInstanceId"]
