"""The durable triggers and the client binding, as azure.functions describes bindings."""

from azure.functions.decorators.core import InputBinding, Trigger

from azure.durable_functions.constants import ACTIVITY_TRIGGER, DURABLE_CLIENT, ENTITY_TRIGGER, ORCHESTRATION_TRIGGER


class OrchestrationTrigger(Trigger):
    """Runs an orchestrator."""

    @staticmethod
    def get_binding_name() -> str:
        """The binding's type."""
        return ORCHESTRATION_TRIGGER

    def __init__(self, name: str, orchestration: str | None = None) -> None:
        self.orchestration = orchestration
        super().__init__(name=name)


class ActivityTrigger(Trigger):
    """Runs an activity."""

    @staticmethod
    def get_binding_name() -> str:
        """The binding's type."""
        return ACTIVITY_TRIGGER

    def __init__(self, name: str, activity: str | None = None) -> None:
        self.activity = activity
        super().__init__(name=name)


class EntityTrigger(Trigger):
    """Runs an entity."""

    @staticmethod
    def get_binding_name() -> str:
        """The binding's type."""
        return ENTITY_TRIGGER

    def __init__(self, name: str, entity_name: str | None = None) -> None:
        self.entity_name = entity_name
        super().__init__(name=name)


class DurableClient(InputBinding):
    """Gives a function a durable client."""

    @staticmethod
    def get_binding_name() -> str:
        """The binding's type."""
        return DURABLE_CLIENT

    def __init__(self, name: str, task_hub: str | None = None, connection_name: str | None = None) -> None:
        self.task_hub = task_hub
        self.connection_name = connection_name
        super().__init__(name=name)
