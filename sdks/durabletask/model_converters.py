"""Converters that know the models of a library; each imports its library when it is made."""

import importlib
import typing
from types import ModuleType
from typing import Any

from durabletask.json_converter import JsonDataConverter


class ModelConverter(JsonDataConverter):
    """JSON as ``JsonDataConverter``, and besides it the library's models, wherever they stand in a value or a type.

    Data that a model does not take is its library's error, not the data as they were.
    """

    def __init__(self, model: type) -> None:
        self._model = model

    def coerce(self, value: Any, target_type: Any = None) -> Any:
        """Make parsed JSON a value of ``target_type``. Raises ValueError for what one of its models does not take."""
        if value is None or target_type is None or not self._has_model(target_type):
            return super().coerce(value, target_type)
        return self._made(value, target_type)

    def can_reconstruct(self, target_type: Any) -> bool:
        """Whatever ``JsonDataConverter`` can, and every type that a model stands in."""
        return self._has_model(target_type) or super().can_reconstruct(target_type)

    def _written(self, value: Any) -> Any:
        return self._plain(value) if isinstance(value, self._model) else super()._written(value)

    def _has_model(self, target: Any) -> bool:
        if isinstance(target, type) and typing.get_origin(target) is None:
            return issubclass(target, self._model)
        return any(self._has_model(argument) for argument in typing.get_args(target))

    def _plain(self, value: Any) -> Any:
        raise NotImplementedError

    def _made(self, value: Any, target: Any) -> Any:
        raise NotImplementedError


class PydanticDataConverter(ModelConverter):
    """For models of pydantic 2; fields go by their aliases. Raises ImportError when pydantic is not installed."""

    def __init__(self) -> None:
        self._pydantic: Any = _library("pydantic", "perdure[pydantic]")
        self._adapters: dict[Any, Any] = {}
        super().__init__(self._pydantic.BaseModel)

    def _plain(self, value: Any) -> Any:
        return value.model_dump(mode="json", by_alias=True)

    def _made(self, value: Any, target: Any) -> Any:
        adapter = self._adapters.get(target)
        if adapter is None:
            adapter = self._adapters[target] = self._pydantic.TypeAdapter(target)
        return adapter.validate_python(value)


class MsgspecDataConverter(ModelConverter):
    """For structs of msgspec."""

    def __init__(self) -> None:
        self._msgspec: Any = _library("msgspec", "msgspec")
        super().__init__(self._msgspec.Struct)

    def _plain(self, value: Any) -> Any:
        return self._msgspec.to_builtins(value, str_keys=True)

    def _made(self, value: Any, target: Any) -> Any:
        return self._msgspec.convert(value, target, str_keys=True)


def _library(name: str, install: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"This converter needs the package {name}. Install it with: pip install '{install}'", name=error.name
        ) from error


PydanticDataConverter.__module__ = MsgspecDataConverter.__module__ = "durabletask.serialization"
