"""DFApp, Blueprint and the bindings they make."""

from azure.durable_functions.decorators.durable_app import Blueprint, DFApp

__all__ = ["Blueprint", "DFApp"]
