"""Where programs of the official package look for these names."""

from durabletask.entities.context import EntityContext

__all__ = ["EntityContext"]
