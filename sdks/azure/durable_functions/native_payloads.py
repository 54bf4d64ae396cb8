"""How two-argument functions of an app write and read values: plain JSON, richer by declared type."""

import base64
import dataclasses
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from azure.durable_functions.declared_types import Mismatch, PlainObjects, hints_of, reader_of
from azure.durable_functions.envelopes import attributes_of, is_pydantic
from azure.durable_functions.serialization import from_text, from_text_as
from durabletask.serialization import JsonDataConverter


class FunctionsDataConverter(JsonDataConverter):
    """The portable converter, with dates, UUIDs, decimals, bytes, pydantic models and the app's own plain classes.

    It also reads the objects that one-argument functions write.
    """

    def deserialize(self, data: str | None, target_type: Any = None) -> Any:
        """Read JSON, as ``target_type`` if given. Raises ValueError for text that is not JSON."""
        if data is None or data == "":
            return None
        if '"__class__"' in data:
            return from_text(data) if target_type is None else from_text_as(data, target_type)
        return super().deserialize(data, target_type)

    def can_reconstruct(self, target_type: Any) -> bool:
        """Whatever is no plain JSON type and can be rebuilt from JSON."""
        return super().can_reconstruct(target_type) or reader_of(target_type, PlainObjects.BUILD) is not None

    def _written(self, value: Any) -> Any:
        for kind, write in _SCALARS.items():
            if isinstance(value, kind):
                return write(value)
        try:
            return super()._written(value)
        except TypeError:
            attributes = attributes_of(value)
            if attributes is None:
                raise
            return self._prepared(attributes)

    def _read_class(self, value: Any, cls: Any) -> Any:
        reader = None if super().can_reconstruct(cls) else reader_of(cls, PlainObjects.BUILD)
        if reader is None:
            return super()._read_class(value, cls)
        try:
            return reader(value)
        except Mismatch:
            if not _is_plain_object(value, cls):
                raise
        hints = hints_of(cls)
        made = cls.__new__(cls)
        for name, item in value.items():
            object.__setattr__(made, name, self._read(item, hints.get(name)))
        return made


def _is_plain_object(value: Any, cls: Any) -> bool:
    """Whether the attributes of an app's own class are what was written."""
    return (
        type(value) is dict
        and cls.__module__.partition(".")[0] not in sys.stdlib_module_names
        and not dataclasses.is_dataclass(cls)
        and not is_pydantic(cls)
        and not any(name.startswith("__") for name in value)
    )


_SCALARS: dict[type, Any] = {
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: timedelta.total_seconds,
    UUID: str,
    Decimal: str,
    bytes: lambda value: base64.b64encode(value).decode("ascii"),
    bytearray: lambda value: base64.b64encode(value).decode("ascii"),
}

NATIVE_CONVERTER = FunctionsDataConverter()
