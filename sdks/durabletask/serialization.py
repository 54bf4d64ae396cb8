"""Python values ↔ the text of payloads (portable-sdk.md §8)."""

from typing import TYPE_CHECKING, Any

from durabletask.json_converter import AUTO_OBJECT, DEFAULT_DATA_CONVERTER, DataConverter, JsonDataConverter

if TYPE_CHECKING:
    from durabletask.model_converters import MsgspecDataConverter, PydanticDataConverter

__all__ = [
    "AUTO_OBJECT",
    "DEFAULT_DATA_CONVERTER",
    "DataConverter",
    "JsonDataConverter",
    "MsgspecDataConverter",
    "PydanticDataConverter",
]


def __getattr__(name: str) -> Any:
    if name in ("MsgspecDataConverter", "PydanticDataConverter"):
        from durabletask import model_converters

        return getattr(model_converters, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
