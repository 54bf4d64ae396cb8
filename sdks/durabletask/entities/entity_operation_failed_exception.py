"""Where programs of the official package look for these names."""

from durabletask.entities.metadata import EntityOperationFailedException

__all__ = ["EntityOperationFailedException"]
