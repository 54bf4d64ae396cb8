"""Where programs of the official package look for these names."""

from durabletask.entities.metadata import EntityMetadata

__all__ = ["EntityMetadata"]
