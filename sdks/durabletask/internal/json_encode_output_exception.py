"""The error of an output that cannot be written, where programs of the official package look for it."""

from durabletask.context import JsonEncodeOutputException

__all__ = ["JsonEncodeOutputException"]
