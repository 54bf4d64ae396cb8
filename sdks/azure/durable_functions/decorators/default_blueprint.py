"""The decorators of the package itself: they register on one blueprint (functions-sdk.md §3.6)."""

from azure.durable_functions.decorators.durable_app import Blueprint, durable_client_input

default_blueprint = Blueprint()
"""Where functions decorated with the package's own decorators stand; register it with ``app.register_functions``."""

orchestration_trigger = default_blueprint.orchestration_trigger
activity_trigger = default_blueprint.activity_trigger
entity_trigger = default_blueprint.entity_trigger

__all__ = [
    "activity_trigger",
    "default_blueprint",
    "durable_client_input",
    "entity_trigger",
    "orchestration_trigger",
]
