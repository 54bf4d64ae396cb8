"""What a program adds to the failures of its exceptions, under its public name."""

from durabletask.working.described_failures import ExceptionPropertiesProvider

__all__ = ["ExceptionPropertiesProvider"]
