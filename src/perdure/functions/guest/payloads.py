"""Activity inputs and results as azure-functions itself converts them for the official worker."""

from typing import Any

from azure.functions.durable_functions import ActivityTriggerConverter
from azure.functions.meta import Datum


class GuestPayloads:
    """A ``PayloadCodec`` (functions/activities.py) that knows no declared types."""

    def from_text(self, text: str | None, annotation: Any = None) -> Any:
        """Read JSON text; text that is not JSON is given as it is."""
        if text is None:
            return None
        return ActivityTriggerConverter.decode(Datum(text, "json"), trigger_metadata=None)

    def to_text(self, value: Any) -> str:
        """Write a value as JSON text. Raises ValueError for what has no JSON form."""
        return ActivityTriggerConverter.encode(value, expected_type=None).value
